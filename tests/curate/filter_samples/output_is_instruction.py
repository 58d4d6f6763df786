from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Create a looping list.", output="Create a looping list."),
        "the output is the instruction again",
    ),
]
PASSES = [
    row("Create a looping list.", output="create a looping list"),
]
