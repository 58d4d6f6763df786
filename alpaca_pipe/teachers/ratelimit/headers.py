"""What a server says about its rate limits, in the spellings of several providers, and how much of them is left now.

Known spellings: OpenAI, Azure, Groq, Fireworks, DeepInfra (x-ratelimit-limit-requests, reset `6m0s`, `120ms`), Cerebras
and Mistral (x-ratelimit-remaining-tokens-minute, -req-minute, -requests-day), Together (x-ratelimit-limit, x-tokenlimit-
limit), Anthropic (anthropic-ratelimit-tokens-reset, a date), OpenRouter (X-RateLimit-Reset, milliseconds since 1970).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

from alpaca_pipe.core.outside_numbers import MONTH, number_in

What = Literal["requests", "tokens"]
MINUTE = 60.0
_WHATS: dict[str, What] = {
    "requests": "requests",
    "request": "requests",
    "req": "requests",
    "tokens": "tokens",
    "token": "tokens",
}
_FIELDS = {"limit", "remaining", "reset"}
_WINDOWS = {"second": 1.0, "minute": MINUTE, "hour": 3600.0, "day": 86_400.0, "month": 2_592_000.0}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_SECONDS = {
    "d": 86_400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
_EPOCH = 1e9  # seconds: above this, a time since 1970, not a span
_MOST = 1e12  # requests or tokens that a limit may name
# The last of a limit is left alone: servers and we round differently, and others may use the same key.
_SPARE = 0.005
_TELLING = 5.0  # seconds: a reset in whole seconds below this is mostly rounding


@dataclass(frozen=True)
class Reading:
    """One limit as one reply tells of it."""

    limit: float
    remaining: float
    reset: float | None  # seconds until it is full again
    window: float | None  # seconds, where the name says it
    whole: bool = False  # the reset is in whole seconds


def told(headers: Mapping[str, str]) -> Iterator[tuple[str, What, Reading]]:
    """(name, of what, reading) for each limit of which a reply tells both limit and rest."""
    found: dict[tuple[What, str], dict[str, str]] = {}
    for name, value in headers.items():
        if meaning := _meaning(name):
            found.setdefault((meaning[0], meaning[1]), {})[meaning[2]] = value
    for (what, window), said in found.items():
        limit, remaining = (
            number_in(_first(said.get(word)), most=_MOST) for word in ("limit", "remaining")
        )
        if limit is not None and remaining is not None and limit >= 1:
            reset = seconds(said.get("reset"))
            yield (
                f"{what} a {window or 'minute'}",
                what,
                Reading(
                    limit,
                    remaining,
                    reset,
                    _WINDOWS.get(window),
                    reset is not None and reset == int(reset),
                ),
            )


@lru_cache(maxsize=256)
def _meaning(name: str) -> tuple[What, str, str] | None:
    """(requests or tokens, window or "", limit, remaining or reset) of a header's name; None where it is another one."""
    plain = name.lower().replace("rate-limit", "ratelimit")
    if "ratelimit" not in plain and "tokenlimit" not in plain:
        return None
    what: What = "tokens" if "tokenlimit" in plain else "requests"
    window = field = ""
    for word in re.split("[-_]", plain):
        if word in _FIELDS:
            field = word
        elif word in _WHATS:
            what = _WHATS[word]
        elif word in _WINDOWS:
            window = word
        elif word not in ("x", "ratelimit", "tokenlimit", "anthropic"):
            return None  # of something else: input-tokens, tokens_usage_based, tokens-query-cost
    return (what, window, field) if field else None


def _first(text: str | None) -> str:
    """Of `40, 40;w=60`."""
    return (text or "").split(",")[0]


def seconds(text: str | None) -> float | None:
    """A span in any spelling: `12`, `0.5`, `6m0s`, `120ms`, a time since 1970, a date of ISO 8601. None for no span, and
    for one that nobody waits for."""
    try:
        span = _span(text or "")
    except (ValueError, OverflowError, OSError):  # a date that no clock of ours can hold
        return None
    return None if span is None or not span <= MONTH else max(0.0, span)


def _span(text: str) -> float | None:
    number = number_in(_first(text), most=_EPOCH * 1e6)
    if number is not None:
        if number > _EPOCH * 100:
            number /= 1000
        return number - time.time() if number > _EPOCH else number
    parts = _PARTS.findall(text)
    if parts and "".join(a + b for a, b in parts) == text:
        return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
    return datetime.fromisoformat(text).timestamp() - time.time()


class Gauge:
    """How much of one limit is left: what the server said last, less what was sent since, plus what has come back.

    Some servers give back evenly (a bucket that fills), others all at once when a minute or a day is over. Which one it is
    shows in `reset`: a bucket's says how long the part that is missing takes to fill."""

    def __init__(self, reading: Reading, now: float) -> None:
        self.limit = reading.limit
        self.window = reading.window or MINUTE
        self._left = self._at_most = (
            reading.limit
        )  # the server may not have counted, or have counted, what is on its way
        self._at = now
        self._began, self._ends = -math.inf, math.inf  # of the window, where all comes back at once
        self._votes: dict[float, float] = {self.window: 0.1}  # by window; 0: all at once

    @property
    def per_minute(self) -> float:
        return self.limit * MINUTE / self.window

    @property
    def left(self) -> float:
        """As it was last heard or reckoned."""
        return max(0.0, self._left)

    def heard(self, reading: Reading, sent_since: float, sent_at: float, now: float) -> None:
        """Of a reply whose request was sent at a time; sent_since: charges of what was sent after it. The server may not have
        counted them when it wrote this, so they are taken off."""
        if sent_at < self._began:
            return  # of the window before
        self.limit = reading.limit
        self._vote(reading)
        self._left, self._at_most, self._at = reading.remaining - sent_since, reading.remaining, now
        if self._fills:
            self._ends = math.inf
        elif reading.reset is not None:
            self._ends = now + reading.reset + (1.0 if reading.whole else 0.05)
        elif not math.isfinite(self._ends):
            self._ends = now + self.window

    def sent(self, charge: float, now: float) -> None:
        self._pass(now)
        self._left -= charge
        self._at_most -= charge

    def wait(self, charge: float, now: float, idle: bool = False) -> float:
        """Seconds until so much may be sent; 0 for at once. idle: nothing is on its way, so that nothing would tell us more."""
        self._pass(now)
        spare = min(self.limit * _SPARE, 2 * charge)
        missing = min(charge + spare, self.limit * (1 - _SPARE)) - (
            self._at_most if idle else self._left
        )
        if missing <= 0:
            return 0.0
        return missing * self.window / self.limit if self._fills else max(0.0, self._ends - now)

    @property
    def _fills(self) -> bool:
        return bool(max(self._votes, key=lambda window: self._votes[window]))

    def _pass(self, now: float) -> None:
        """What has come back by now."""
        if self._fills:
            more = (now - self._at) * self.limit / self.window
            self._left, self._at_most = (
                min(self.limit, self._left + more),
                min(self.limit, self._at_most + more),
            )
        elif now >= self._ends:
            self._left = self._at_most = self.limit
            self._began, self._ends = now, now + self.window
        self._at = now

    def _vote(self, reading: Reading) -> None:
        """Which window explains the reset best, as one voice among the last ones."""
        used = reading.limit - reading.remaining
        if reading.reset is None or used <= 0 or (reading.whole and reading.reset < _TELLING):
            return
        windows = [reading.window] if reading.window else list(_WINDOWS.values())
        near = {
            window: abs(math.log((reading.reset + 1e-3) / (used / reading.limit * window + 1e-3)))
            for window in windows
        }
        best = min(near, key=lambda window: near[window])
        missed = abs(reading.reset - used / reading.limit * best)
        # a count is rounded to a whole one, a reset perhaps to a second
        fits = missed <= max(
            0.1 * reading.reset, 1.5 * best / reading.limit, 1.0 if reading.whole else 0.02
        )
        for window in self._votes:
            self._votes[window] *= 0.9
        winner = best if fits else 0.0
        self._votes[winner] = self._votes.get(winner, 0.0) + 1
        if winner:
            self.window = max((w for w in self._votes if w), key=lambda w: self._votes[w])
        elif reading.window is None:
            self.window = next((w for w in _WINDOWS.values() if w >= reading.reset), reading.reset)
