from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Describe the following picture in detail."),
        "the instruction says 'picture', which a text model can neither see nor make",
    ),
]
PASSES = [
    row("Go  to the store and describe it."),  # two blanks: Stanford's own pattern
    row("Describe a picturesque village in Spain."),
]
