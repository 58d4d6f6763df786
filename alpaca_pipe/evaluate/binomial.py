"""The chance of few yes among many rows: what a sign test asks."""

from __future__ import annotations

from math import exp, lgamma, log, log1p


def at_most(yes: int, rows: int, share: float = 0.5) -> float:
    """Of so many yes or fewer among these rows, where this share of all is yes."""
    ways, said_yes, said_no = lgamma(rows + 1), log(share), log1p(-share)
    return sum(
        exp(ways - lgamma(n + 1) - lgamma(rows - n + 1) + n * said_yes + (rows - n) * said_no)
        for n in range(min(yes, rows) + 1)
    )
