from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row("(Name) the capital of France"), "the instruction starts with '('"),
]
PASSES = [
    row("Name (only) the capital of France"),
]
