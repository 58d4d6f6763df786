"""Shares of yes and no with their intervals: of one sample, and of the same rows twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from alpaca_pipe.evaluate.bootstrap import Interval

_CONFIDENCE = 0.95


def z_of(confidence: float = _CONFIDENCE, looks: int = 1) -> float:
    """Of a two-sided interval. looks: how many intervals are to hold at once (Bonferroni)."""
    return NormalDist().inv_cdf(1 - (1 - confidence) / 2 / max(looks, 1))


def wilson(yes: float, rows: int, z: float | None = None) -> Interval:
    """Share of yes, with Wilson's score interval (Wilson 1927). yes: may be halves, as ties are. No rows: 0 to 1."""
    if not rows:
        return Interval(math.nan, 0.0, 1.0)
    z = z_of() if z is None else z
    share, square = yes / rows, z * z / rows
    middle = (share + square / 2) / (1 + square)
    half = z * math.sqrt(max(share * (1 - share), 0.0) / rows + square / rows / 4) / (1 + square)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def paired_shares(one: Sequence[float], other: Sequence[float], z: float | None = None) -> Interval:
    """Share of `one` less that of `other` on the same rows, with Newcombe's interval (Statistics in Medicine 17, 1998, method
    10): Wilson's limits of both, joined with the rows' correlation. A tie is a half. It needs no minimum of rows and is never of width 0."""
    rows = len(one)
    both = sum(mine * theirs for mine, theirs in zip(one, other, strict=True))
    mine, theirs = sum(one), sum(other)
    first, second = wilson(mine, rows, z), wilson(theirs, rows, z)
    if not rows:
        return Interval(math.nan, -1.0, 1.0)
    phi = _phi(both, mine - both, theirs - both, rows - mine - theirs + both)
    down, up = first.mean - first.lo, first.hi - first.mean
    their_down, their_up = second.mean - second.lo, second.hi - second.mean
    apart = first.mean - second.mean
    low = math.sqrt(max(down**2 - 2 * phi * down * their_up + their_up**2, 0.0))
    high = math.sqrt(max(up**2 - 2 * phi * up * their_down + their_down**2, 0.0))
    return Interval(apart, max(-1.0, apart - low), min(1.0, apart + high))


def _phi(both: float, first: float, second: float, neither: float) -> float:
    """The correlation of two yes-no columns, less Newcombe's correction for few rows."""
    rows = both + first + second + neither
    sides = (both + first) * (second + neither) * (both + second) * (first + neither)
    if not sides:
        return 0.0
    found = both * neither - first * second
    if found > 0:
        found = max(found - rows / 2, 0.0)
    return found / math.sqrt(sides)
