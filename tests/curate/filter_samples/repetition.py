from __future__ import annotations

from tests.curate.filter_samples.rows import row

LOOP = "The bakery sells bread and cakes in the small town. " * 4

DROPS = [
    (
        row(output=LOOP + "The bakery closes in the evening and opens in the morning."),
        "60% of the output repeats itself, at most 50% wanted",
    ),
    (
        row(output="The answer is the sea, " + "and the sea is the answer, " * 6),
        "the output ends in a loop: 'and the sea is the answer,'",
    ),
    (row(output="Tea. " + "no " * 40), "the output ends in a loop: 'no'"),
]
PASSES = [
    row("Write the lyrics of a song.", output="Oh come back to me now. " * 9),
    row(output="Oh come back. " * 5),  # under 30 words
    row(output="[" + "0, 1, " * 40 + "0]"),
    row(output="\n".join(f"{n} x 6 = {n * 6}" for n in range(1, 11))),
]
