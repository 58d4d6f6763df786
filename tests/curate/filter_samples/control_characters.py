from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row(output="Paris\x03."), "the output holds U+0003"),
    (row(input="caf\ufffd"), "the input holds U+FFFD"),
]
PASSES = [
    row(output="one\ttwo\r\nthree\u2028four"),
]
