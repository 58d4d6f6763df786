"""How often 'better' is said where nothing is better, and where something is: by simulation, printed as a table.

    python -m tests.bench.verdict_rates

Rows have 8 to 200 tokens; differences of their losses are drawn with mean 0 (below: from no tail to a heavy one on the bad side),
or with a gain of one standard deviation of the rows. The tails are those in which a few rows come out much worse.
"""

from __future__ import annotations

import math

import numpy as np

from alpaca_pipe.evaluate.bootstrap import paired

TRIALS, RESAMPLES = 1000, 400
TAILS = {"none": 0.0, "a few rows worse": 0.5, "few rows much worse": 1.0, "heavier": 1.5}


def apart(tail: float, rows: int, random: np.random.Generator) -> np.ndarray:
    if not tail:
        return random.normal(0, 0.3, rows)
    return (np.exp(tail * random.normal(size=rows)) - math.exp(tail**2 / 2)) * 0.2


def better(tail: float, rows: int, gain: float) -> float:
    random, found = np.random.default_rng(rows), 0
    for trial in range(TRIALS):
        tokens = random.integers(8, 200, rows)
        base = random.uniform(1, 3, rows) * tokens
        tuned = base + (apart(tail, rows, random) - gain) * tokens
        nats = {"base": list(base), "tuned": list(tuned)}
        difference = paired(nats, list(tokens), "tuned", trial, RESAMPLES)[1]["base"]
        found += difference.hi < 0
    return found / TRIALS


def main() -> None:
    print("| rows | " + " | ".join(TAILS) + " | a gain of one standard deviation |")
    for rows in (12, 16, 32, 64, 200):
        rates = [better(tail, rows, 0) for tail in TAILS.values()]
        print(
            f"| {rows} | "
            + " | ".join(f"{rate:.1%}" for rate in (*rates, better(0, rows, 0.3)))
            + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
