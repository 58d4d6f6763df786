from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Translate the word below.", "Now and then people translate the word below: tree"),
        "the input holds the instruction again",
    ),
]
PASSES = [
    row("Translate the word below.", "translate the words below"),
    row("Translate this word.", "translate this word"),
]
