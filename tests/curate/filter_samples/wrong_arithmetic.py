from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row("Calculate 12 + 7 * 3.", output="57"), "12 + 7 * 3 makes 33, the output says 57"),
    (row("What is 15% of 60?", output="It is 8."), "15% of 60 makes 9, the output says 8"),
    (
        row("Find the average of the numbers below.", "4, 6, 8", "The average is 7."),
        "the mean of 4, 6, 8 makes 6, the output says 7",
    ),
    (
        row("Find the median of 9, 1 and 4.", output="5"),
        "the median of 9, 1 and 4 makes 4, the output says 5",
    ),
    (
        row("How much is the fare?", output="Two tickets: 2 x $3.50 = $6.50."),
        "2 x $3.50 makes 7, the output says $6.50",
    ),
]
PASSES = [
    row("Calculate 12 + 7 * 3.", output="12 + 7 * 3 = 33"),
    row("Calculate 2 / 3.", output="0.67"),
    row("Calculate 2 / 3.", output="0.666"),
    row("Calculate 1 / 4 of it.", output="1 / 4 = 25%"),
    row("Calculate 101 + 11 in binary.", output="1000"),
    row("Find the mistake.", output="2 + 2 = 5"),
    row("Solve for x.", "2x + 3 = 7", "2x + 3 = 7, so x = 2"),
    row("Add 2 to 3.", output="five"),
]
