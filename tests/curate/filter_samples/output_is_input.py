from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row(
            "Rewrite the sentence in the past tense.",
            "He goes home early.",
            "He goes home early. ",
        ),
        "the output is the input again",
    ),
    (row("Design a bridge for this.", "N/A", "N/A"), "the output is the input again"),
]
PASSES = [
    row(
        "Correct the sentence below, please.", "He goes home early.", "He goes home early."
    ),  # it was right
    row("Edit the sentence if needed.", "He goes home early.", "He goes home early."),
    row("Sort these words by their letters.", "ant, bee, cat, dog", "ant, bee, cat, dog"),
    row("Rewrite the noun in the plural.", "sheep", "sheep"),
    row("Put the sentence in title case.", "he goes home", "He Goes Home"),
    row("Say nothing at all, please.", "", ""),
]
