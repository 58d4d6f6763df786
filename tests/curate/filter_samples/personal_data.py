from __future__ import annotations

from tests.curate.filter_samples.rows import imported, row

DROPS = [
    (
        imported(output="Write to greta.lindqvist@posteo.de."),
        "the output holds an e-mail address that may be somebody's",
    ),
    (
        imported(output="Call (415) 867-4391."),
        "the output holds a telephone number that may be somebody's",
    ),
    (
        imported(output="Call +44 20 7123 8847."),
        "the output holds a telephone number that may be somebody's",
    ),
]
PASSES = [
    row(output="Write to greta.lindqvist@posteo.de."),  # generated: no one's
    imported(output="Write to greta@example.com or info@posteo.de."),
    imported(output="Call (415) 555-0134, 123-456-7890 or 1-800-356-9377."),
    imported(output="It is 415.8674391 miles, on 2020-11-12."),
]
