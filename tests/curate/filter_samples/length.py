from __future__ import annotations

from tests.curate.filter_samples.rows import row

SETTINGS = {"most": 3}
DROPS = [
    (row(output="One two three four."), "the output has 4 words, at most 3 wanted"),
]
PASSES = [
    row(output="One two three."),
]
