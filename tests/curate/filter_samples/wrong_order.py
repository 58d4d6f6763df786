from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Sort alphabetically: plum, fig, pear", output="fig, plum, pear"),
        "'pear' stands after 'plum'",
    ),
    (
        row("Put these numbers in ascending order.", "10, 9, 100", "10, 100, 9"),
        "'9' stands after '100'",
    ),
    (
        row(
            "Arrange the words in alphabetical order.", "pear fig plum", "1. fig\n2. plum\n3. pear"
        ),
        "'pear' stands after 'plum'",
    ),
    (
        row("Sort the numbers 5, 3 and 9 from largest to smallest.", output="9, 3, 5"),
        "'5' stands after '3'",
    ),
]
PASSES = [
    row("Sort alphabetically: plum, fig, pear", output="fig, pear, plum"),
    row("Sort alphabetically: plum, fig, pear", output="Fig, Pear and Plum."),
    row("Sort the words by length in ascending order.", "fig, banana, plum", "fig, plum, banana"),
    row("Sort the books alphabetically.", "The Zoo; An Ant; A Bee", "An Ant; A Bee; The Zoo"),
    row("Sort in descending order.", "1, 2, 3", "3, 2, 1"),
    row("Sort the numbers in ascending order.", "3, 1, 2", "1, 2"),
    row("Write a function that sorts a list alphabetically.", output="b, a, c"),
]
