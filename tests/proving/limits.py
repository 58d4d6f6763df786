"""Requests and tokens a minute as OpenAI limits them: buckets that fill evenly, and the headers that tell of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.proving.settings import Settings


class Bucket:
    """Holds a minute's worth at most and fills evenly; full at the start."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._level, self._clock, self._at = float(per_minute), clock, clock()

    def left(self) -> float:
        now = self._clock()
        self._level = min(self.per_minute, self._level + (now - self._at) * self.per_minute / 60)
        self._at = now
        return self._level

    def missing(self, amount: float) -> float:
        """Seconds until so much is there; 0 if it is there now."""
        return max(0.0, (amount - self.left()) * 60 / self.per_minute)

    def take(self, amount: float) -> None:
        self._level = min(self.per_minute, self.left() - amount)

    def full_in(self) -> float:
        return (self.per_minute - self.left()) * 60 / self.per_minute


@dataclass
class Limits:
    """Both buckets of one server; None where there is no such limit."""

    requests: Bucket | None
    tokens: Bucket | None
    keeps_what_was_asked: bool
    charged: int = 0  # tokens that counted against the limit so far

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        rate, tokens = settings.requests_per_minute, settings.tokens_per_minute
        clock = (lambda: 0.0) if settings.standing else time.monotonic
        return cls(
            Bucket(rate, clock) if rate else None,
            Bucket(tokens, clock) if tokens else None,
            settings.counts == "asked",
        )

    def admit(self, tokens: int) -> tuple[str, float]:
        """Takes one request of so many tokens, or answers which limit it meets and in how many seconds it would fit."""
        waits = [
            (bucket.missing(amount), what)
            for bucket, amount, what in (
                (self.requests, 1, "requests"),
                (self.tokens, tokens, "tokens"),
            )
            if bucket
        ]
        wait, what = max(waits, default=(0.0, ""))
        if wait > 0:
            return what, wait
        self._take(1, tokens)
        return "", 0.0

    def used(self, asked: int, used: int) -> None:
        """A reply took `used` tokens where `asked` had been charged."""
        if not self.keeps_what_was_asked:
            self._take(0, used - asked)

    def _take(self, requests: int, tokens: int) -> None:
        self.charged += tokens
        if self.requests and requests:
            self.requests.take(requests)
        if self.tokens:
            self.tokens.take(tokens)

    def headers(self) -> dict[str, str]:
        said = {}
        for bucket, name in ((self.requests, "requests"), (self.tokens, "tokens")):
            if bucket:
                said |= {
                    f"x-ratelimit-limit-{name}": str(bucket.per_minute),
                    f"x-ratelimit-remaining-{name}": str(max(0, math.floor(bucket.left()))),
                    f"x-ratelimit-reset-{name}": spelled(bucket.full_in()),
                }
        return said


def spelled(seconds: float) -> str:
    """As OpenAI writes a span: `120ms`, `7.66s`, `1m12.5s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.4g}s"
