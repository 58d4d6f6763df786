"""How the proving server behaves: latency, tokens, limits, price and faults, as one JSON object that may change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self

PRICE = {
    "uncached_in": "0.15",
    "cache_read": "0.0375",
    "visible_out": "0.60",
    "reasoning_out": "0.60",
}
BATCH_PRICE = {
    "uncached_in": "0.075",
    "cache_read": "0.075",
    "visible_out": "0.30",
    "reasoning_out": "0.30",
}


@dataclass(frozen=True)
class Settings:
    """All seconds are wall-clock; all prices are $ per million tokens, exact decimals as text."""

    books: str  # path of the server's own SQLite file
    seed: int = 0  # of every choice: which fault, how long, how many tokens
    key: str = ""  # what Authorization must carry; "" takes any
    models: tuple[str, ...] = ()  # that it knows; () knows all
    strict: bool = False  # refuses what today's reasoning models refuse (strict.py)
    model_said: str = ""  # what it says it served; "" the one that was asked for
    price: Mapping[str, str] = field(default_factory=lambda: dict(PRICE))
    batch_price: Mapping[str, str] = field(default_factory=lambda: dict(BATCH_PRICE))
    # latency: median seconds, lognormal with `sigma` (0: always the median), times 1 + in flight / load (0: no matter)
    latency: float = 0.0
    sigma: float = 0.0
    load: int = 0
    # tokens of a reply: median, and the sigma of its logarithm; share of requests with cached and with reasoning tokens
    tokens: int = 60
    tokens_sigma: float = 0.3
    cached: float = 0.3
    reasoning: float = 0.2
    # rate limits; counts: "used" gives back what a reply did not use, "asked" charges prompt + output limit for good
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    counts: Literal["used", "asked"] = "used"
    standing: bool = False  # no time passes for the limits: what was taken does not come back
    faults: Mapping[str, float] = field(
        default_factory=dict
    )  # name -> probability for each attempt
    nature: Mapping[str, float] = field(
        default_factory=dict
    )  # name -> probability for each question, at every attempt
    script: tuple[
        str, ...
    ] = ()  # faults of the next requests, in their order; "" is none; used up, then the chances
    hang: float = 30.0  # seconds that a hanging request is held, unless its client leaves
    retry_after: float = 1.0  # seconds that a drawn 429 asks to wait
    # rows that are told instead of invented ones, 16 to a reply in the layout of Stanford's prompt (released.py): a JSON
    # file; and whether `stop` of a request is applied to them
    released: str = ""
    applies_stop: bool = True
    judge: str = ""  # its character where it is asked to compare answers (judge_replies.py); "": it invents a text
    judge_broken: float = 0.0  # share of its judgements that cannot be read
    queue: int = (
        0  # lines that may be in batches at once; one batch more than that fails; 0: any number
    )
    batch_seconds: float = 0.2  # from creation to completion

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        unknown = set(value) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"the proving server has no setting {sorted(unknown)}")
        lists = {name: tuple(value[name]) for name in ("models", "script") if name in value}
        return cls(**{**value, **lists})

    def but(self, changes: Mapping[str, Any]) -> Settings:
        return replace(self, **changes)
