"""The forecast before a run: what was believed, learned from earlier runs, less what is stored already."""

from __future__ import annotations

from dataclasses import replace

from alpaca_pipe.generate.forecast.history import Past
from alpaca_pipe.generate.forecast.posterior import DRIFT_BETWEEN, HASTE_BETWEEN
from alpaca_pipe.generate.forecast.run_out import rounded, short_of
from alpaca_pipe.generate.forecast.simulation import (
    Forecast,
    Workload,
    foresee,
    imagine,
    whole_within,
)
from alpaca_pipe.generate.prior import Prior
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.ledger.money import NANO

_PRIORS = "an estimate without data: this teacher was not asked yet; a run's first replies make it narrower"
_ENOUGH = 0.8
_MORE = 1.05  # rows beside those that are wanted, from where on they are said
_NO_CACHE = "no discount for cached tokens is counted"
_NO_LIMIT = "the provider's limits per minute are not known"


def expected(
    order: Workload, prior: Prior, before: Past
) -> tuple[Forecast, str, str, tuple[str, ...]]:
    """What is still to be asked; what it will do and what the figures rest on, each in some words; and what may go wrong."""
    teachers = imagine(prior, order)
    evidence = [*before.others, *(before.same if before.kept else map(_unjudged, before.same))]
    if evidence:
        teachers = teachers.learned(
            evidence, order.tasks, order.swing, DRIFT_BETWEEN, HASTE_BETWEEN
        )
    stored = RoundStats()
    for one in before.same:
        stored = stored + one
        if before.kept and stored.accepted >= order.count:
            break
    had = stored if stored.seats and before.kept else None
    forecast = foresee(order, teachers, had)
    short = short_of(order, teachers, forecast, had)
    if stored.seats and not before.kept:
        forecast = forecast.less(stored.requests)
    return (
        forecast,
        "; ".join(_says(order, forecast, stored)),
        f"{before.words or _PRIORS}{_money(order)}",
        (*([f"{short}{_more(order)}"] if short else []), *_cut(order, prior, evidence)),
    )


def _more(order: Workload) -> str:
    if not order.sources:
        return ""
    more = {"passages": "documents", "rows": "rows"}.get(order.source_word, "seeds")
    return f": more {more} bring more, or lower generate.count"


def _unjudged(one: RoundStats) -> RoundStats:
    """Under other filters: tokens and pace are as they were, what is accepted is not."""
    return replace(one, pieces=0, near=0, new=0, accepted=0)


def _says(order: Workload, forecast: Forecast, stored: RoundStats) -> list[str]:
    requests, rows = forecast.range("requests").p50, forecast.range("rows").p50
    stalls = 2 * forecast.stalled > len(forecast.rows)
    said = [f"until {order.count:,} rows are accepted{' or nothing new comes' if stalls else ''}"]
    if stored.requests:
        said.append(
            f"{stored.requests:,} of about {stored.requests + requests:,.0f} requests are stored already and free"
        )
    money = forecast.range("dollars").p50
    if money and rows > stored.accepted:
        more = ""
        if rows > _MORE * order.count:
            said.append(
                f"about {rounded(rows):,} come in the middle, for a round of {order.round_size:,} prompts is asked whole"
            )
            more = " of these"
        said.append(
            f"a dollar buys about {rounded(NANO * (rows - stored.accepted) / money):,}{more or ' rows'}"
        )
    return said


def _cut(order: Workload, prior: Prior, evidence: list[RoundStats]) -> list[str]:
    """A warning where a limit of tokens leaves much of the replies out, as far as nobody has seen it."""
    thinks = prior.thinks.median if prior.thinks else 0.0
    _, whole = whole_within(
        thinks, prior.out.median * order.tasks, prior.out_spread, order.limits[0], order.tasks
    )
    if evidence or whole > _ENOUGH:
        return []
    why = "it thinks before it answers" if thinks else f"{order.tasks} tasks a reply are many"
    return [
        f"about {1 - whole:.0%} of the tasks are lost at max_tokens {order.limits[0]:,} ({why}): raise generate.max_tokens"
    ]


def _money(order: Workload) -> str:
    if not any(order.price):
        return ""
    limited = order.pace.requests_per_minute or order.pace.tokens_per_minute
    return f"; {_NO_CACHE}" + ("" if limited else f", {_NO_LIMIT}")
