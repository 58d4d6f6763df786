from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row(output="Paris." + "\u0326" * 9),
        "the output holds 9 combining marks in a row, U+0326 first",
    ),
]
PASSES = [
    row(output="Vie\u0323\u0302t Nam"),
]
