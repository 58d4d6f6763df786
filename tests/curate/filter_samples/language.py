from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row(output="Det er en rolig by ved havet, og der bor mange mennesker om sommeren."),
        "the output is in 'da', not in 'en'",
    ),
]
PASSES = [
    row(
        "Translate it into Danish.",
        output="Det er en rolig by ved havet, og der bor mange mennesker.",
    ),
    row(
        "Copy the text.",
        "Det er en rolig by ved havet i Danmark.",
        "Det er en rolig by ved havet i Danmark.",
    ),
    row(output="It is a quiet town by the sea, and many people live there in summer."),
]
