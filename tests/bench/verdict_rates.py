"""How often 'better' is said where nothing is better, and where something is: by simulation, printed as a table.

    python -m tests.bench.verdict_rates

Rows have 8 to 200 tokens; differences of their losses are drawn with mean 0 (below: from no tail to a heavy one on the bad side),
or with a gain of one standard deviation of the rows. The tails are those in which a few rows come out much worse.
"""

from __future__ import annotations

import math

import numpy as np

from alpaca_pipe.evaluate.bootstrap import needed, paired

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


def better(tail: float, rows: int, gain: float, trials: int = TRIALS) -> float:
    random, found = np.random.default_rng(rows), 0
    for trial in range(trials):
        nats, tokens = losses(tail, rows, gain, random)
        found += paired(nats, tokens, "tuned", trial, RESAMPLES)[1]["base"].hi < 0
    return found / trials


def spread(tail: float) -> float:
    return 0.2 * math.sqrt((math.exp(tail**2) - 1) * math.exp(tail**2)) if tail else 0.3


def stated(tail: float, gain: float) -> tuple[int, float]:
    """Rows that a pilot of 64 rows says are needed (the middle one of 9 pilots), and how often so many show the gain."""
    random = np.random.default_rng(1)
    said = []
    for _ in range(9):
        nats, tokens = losses(tail, 64, gain, random)
        found = needed(nats, tokens, "tuned", lambda name: gain)["base"]
        said.append(found or 100_000)
    rows = sorted(said)[4]
    return rows, better(tail, rows, gain, 200)


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
    for name, tail in TAILS.items():
        gain = spread(tail) / 4
        rows, power = stated(tail, gain)
        print(
            f"{name}: a gain of a quarter of the rows' spread, {gain:.3f} nats: {rows} rows are said to show it, {power:.0%} do",
            flush=True,
        )


if __name__ == "__main__":
    main()
