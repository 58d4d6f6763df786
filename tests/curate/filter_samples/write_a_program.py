from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Write a program that sorts a list."),
        "the instruction starts with 'Write a program'",
    ),
    (
        row("Write a programme for a concert."),
        "the instruction starts with 'Write a program'",
    ),  # as Stanford
]
PASSES = [
    row("Please Write a program that sorts."),
]
