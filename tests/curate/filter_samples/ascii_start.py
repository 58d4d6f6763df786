from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Être ou ne pas être: who said it?"),
        "the instruction starts with 'Ê', which is not ASCII",
    ),
]
PASSES = [
    row("Who said: être ou ne pas être?"),
]
