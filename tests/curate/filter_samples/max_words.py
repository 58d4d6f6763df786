from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row("word " * 151), "the instruction has 151 words, at most 150 wanted"),
]
PASSES = [
    row("word " * 150),
]
