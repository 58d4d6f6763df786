"""How often 'better' and 'worse' are said where nothing is, and 'better' where something is: by simulation, printed as a table.

    python -m tests.bench.verdict_rates

Rows have 8 to 200 tokens; differences of their losses are drawn with mean 0 (below: from no tail to a heavy one on the bad side),
or with a gain of one standard deviation of the rows. The tails are those in which a few rows come out much worse.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from alpaca_pipe.evaluate.bootstrap import needed, paired
from alpaca_pipe.evaluate.least_difference import LOSS, direction

Losses = tuple[dict[str, list[float]], list[int]]
TRIALS, RESAMPLES = 1000, 400
TAILS = {"none": 0.0, "a few rows worse": 0.5, "few rows much worse": 1.0, "heavier": 1.5}


def apart(tail: float, rows: int, random: np.random.Generator) -> np.ndarray:
    if not tail:
        return random.normal(0, 0.3, rows)
    return (np.exp(tail * random.normal(size=rows)) - math.exp(tail**2 / 2)) * 0.2


def losses(tail: float, rows: int, gain: float, random: np.random.Generator) -> Losses:
    tokens = random.integers(8, 200, rows)
    base = random.uniform(1, 3, rows) * tokens
    tuned = base + (apart(tail, rows, random) - gain) * tokens
    return {"base": list(base), "tuned": list(tuned)}, list(tokens)


def said(tail: float, rows: int, gain: float, trials: int = TRIALS) -> tuple[float, float]:
    """How often "better" and "worse" are said."""
    random, found = np.random.default_rng(rows), Counter[str]()
    for trial in range(trials):
        nats, tokens = losses(tail, rows, gain, random)
        found[
            direction(paired(nats, tokens, "tuned", trial, RESAMPLES)[1]["base"], LOSS.least)
        ] += 1
    return found["better"] / trials, found["worse"] / trials


def spread(tail: float) -> float:
    return 0.2 * math.sqrt((math.exp(tail**2) - 1) * math.exp(tail**2)) if tail else 0.3


def stated(tail: float, pilot: int, gain: float, trials: int = 200) -> tuple[int, float]:
    """Rows that a pilot of so many says are needed (the middle one), and how often so many, drawn anew each time, show a gain that
    is the smallest that counts."""
    random, stated, found = np.random.default_rng(pilot), list[int](), 0
    for trial in range(trials):
        nats, tokens = losses(tail, pilot, gain, random)
        rows = needed(nats, tokens, "tuned", lambda name: gain)["base"]
        assert rows
        stated.append(rows)
        nats, tokens = losses(tail, rows, gain, random)
        gap = paired(nats, tokens, "tuned", trial, RESAMPLES // 4)[1]["base"]
        found += direction(gap, gain) == "better"
    return sorted(stated)[trials // 2], found / trials


def main() -> None:
    print("| rows | " + " | ".join(TAILS) + " | a gain of one standard deviation |")
    for rows in (12, 16, 32, 64, 200):
        rates = [said(tail, rows, 0) for tail in TAILS.values()]
        print(
            f"| {rows} | "
            + " | ".join(f"{better:.1%}, {worse:.1%}" for better, worse in rates)
            + f" | {said(0, rows, 0.3)[0]:.0%} |",
            flush=True,
        )
    for name, tail in TAILS.items():
        for part in (4, 2):
            gain = spread(tail) / part
            for pilot in (24, 64, 200):
                rows, power = stated(tail, pilot, gain)
                print(f"{name}, spread / {part}, {pilot}: {rows} rows, {power:.0%}", flush=True)


if __name__ == "__main__":
    main()
