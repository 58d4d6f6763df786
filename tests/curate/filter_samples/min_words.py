from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row("Name a color."), "the instruction has 3 words, at least 4 wanted"),
]
PASSES = [
    row("Name a warm color."),
    row("天空为什么是蓝色的？"),
    row("写一首诗"),
]
