"""What a reply is entered at, and what is wrong with the figures that it came with."""

from __future__ import annotations

from dataclasses import dataclass

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.ledger.money import NANO, shown
from alpaca_pipe.ledger.pricing.token_prices import Price

_DIFFERS = 100  # the provider's own bill may differ from the book by one part in so many: it rounds elsewhere
_BILLS = ("openrouter", "openrouter.ai")
_UNIT = ": the price counts, since nobody says in what unit the cost is (teacher.reported_cost: dollars, or ignore)"
# Flex and batch cost less than the usual price, and are booked at it.
_USUAL_TIERS = (
    "",
    "auto",
    "default",
    "standard",
    "standard_only",
    "on_demand",
    "flex",
    "batch",
    "scale",
)
_BELIEVED = 1000  # times its limit that a reply may take, or its ceiling that it may cost
_LONGEST = 1 << 20  # tokens that no model of today writes in one reply
_FREE_AT_MOST = 100 * NANO  # that a reply may cost where it should cost nothing
_TOO_LITTLE = 1000  # nano-dollars; below that a difference is rounding


@dataclass(frozen=True)
class Entered:
    """nanodollars: to be settled.  anomaly: sentences for a row of its own.  over: it is above the ceiling.
    believed: False where its usage is one that no reply can have."""

    nanodollars: int
    anomaly: str = ""
    over: bool = False
    believed: bool = True


def entered(
    completion: Completion,
    limit: int | None,
    price: Price,
    ceiling: int,
    reserved: int | None = None,
    dollars: bool | None = None,
) -> Entered:
    """A cost that the reply reports counts before the price where it is known to be in dollars (OpenRouter's, or `dollars`);
    elsewhere the price counts, and a difference is an anomaly: gateways report hundredths, credits, or nothing. A billed
    reply without figures that can be believed is entered at its ceiling, never at $0. Figures that contradict themselves
    never come to more than the ceiling, nor do figures that no reply can have. A tier of service that was not asked for, and
    may cost more, is entered at the ceiling and ends the run. limit: tokens that the reply may have.  reserved: what was set
    aside for it, where that is more than its ceiling.  dollars: whether a reported cost is in dollars; None: where the
    provider is known to."""
    reserved = ceiling if reserved is None else reserved
    known = price.provider in _BILLS if dollars is None else dollars
    reported = None if dollars is False else completion.billed
    usage, odd = completion.usage, [completion.doubt] if completion.doubt else []
    cost = price.cost(usage)
    missing = (
        bool(ceiling)
        and _generated(completion)
        and not (usage.tokens_in and (usage.tokens_out or not completion.text))
    )
    if missing and not odd:
        odd.append("it came without its usage")
    if reported is not None:
        differs = abs(reported - cost)
        if not missing and differs > _TOO_LITTLE and differs * _DIFFERS > max(cost, reported):
            odd.append(
                f"the provider bills {_exactly(reported)}, and its tokens come to {_exactly(cost)} by the "
                f"price that is used here{'' if known else _UNIT}"
            )
    if reported is not None and known:
        cost = reported
    elif missing:
        cost = reserved
        odd.append("counted at its ceiling")
    elif (
        limit is not None
        and usage.tokens_out > limit
        and ceiling
        and (cost <= ceiling or completion.doubt)
    ):
        cost = ceiling
        odd.append(
            f"its usage counts {usage.tokens_out:,} tokens where {limit:,} were allowed, counted at its ceiling"
        )
    odd += [completion.remark] if completion.remark else []
    if dear := _dear(completion.tier):
        return Entered(max(cost, reserved), "; ".join([*odd, dear]), over=True)
    if absurd := _absurd(None if cost == reported else usage, cost, limit, reserved):
        return Entered(reserved, "; ".join([*odd, absurd]), believed=False)
    if cost > reserved:
        odd.append(f"a reply cost {shown(cost)}, more than its ceiling of {shown(reserved)}")
    return Entered(cost, "; ".join(odd), cost > reserved)


def _dear(tier: str) -> str:
    """Why a reply may cost more than the price says, by the tier of service that it names; "" where it does not."""
    if tier.lower() in _USUAL_TIERS:
        return ""
    return (
        f"it says that it was served at the tier '{tier}', which was not asked for and may cost more than the price that is "
        "used here: counted at its ceiling"
    )


def _absurd(usage: Usage | None, cost: int, limit: int | None, ceiling: int) -> str:
    """Why a reply that costs more than its ceiling cannot have cost that; "" where it can. What it thought beside its limit
    can be many times that limit. usage: where the cost was reckoned from it."""
    if cost <= ceiling:
        return ""
    allowed = limit or _LONGEST
    if usage and usage.tokens_out > max(allowed, min(_LONGEST, _BELIEVED * allowed)):
        what = f"its usage counts {usage.tokens_out:,} tokens where {allowed:,} were allowed"
    elif cost > (_BELIEVED * ceiling or _FREE_AT_MOST):
        what = (
            f"by its figures it cost {shown(cost)}, and {shown(ceiling)} is the most that it should"
        )
    else:
        return ""
    return f"{what}: not believed, counted at its ceiling; where it is true, `alpaca-pipe ledger correct` enters it"


def _generated(completion: Completion) -> bool:
    """The text of a refused request is the server's reason (a 400 is not billed); every other text was generated."""
    return completion.finish in ("stop", "length") or bool(
        completion.text and completion.finish not in ("refused", "failed")
    )


def _exactly(nanodollars: int) -> str:
    return f"{nanodollars:,} nano-dollars"
