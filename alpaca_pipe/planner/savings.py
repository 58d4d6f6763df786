"""The few changes of a recipe that save most, each by itself, as what is typed behind `plan` and `run`."""

from __future__ import annotations

from collections.abc import Iterator

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.planner.cheapest import Offer
from alpaca_pipe.planner.plan_summary import PlanSummary

_SHOWN = 3
_WORTH = 1e7  # nano-dollars: a cent


@dataclass(frozen=True)
class Saving:
    """saves: nano-dollars at the P50. how: overrides. note: what else it means."""

    saves: float
    how: str
    note: str = ""


def savings(outlook: PlanSummary) -> list[Saving]:
    """The three that save most of what is still to be paid."""
    found = [one for one in _all(outlook) if one.saves >= _WORTH]
    return sorted(found, key=lambda one: -one.saves)[:_SHOWN]


def _all(outlook: PlanSummary) -> Iterator[Saving]:
    if outlook.control:
        yield Saving(
            outlook.control.gpu.p50,
            "train.control=none",
            "it shows what form alone teaches",
        )
    if outlook.by_batch:
        yield Saving(
            outlook.by_batch,
            f"teacher.kind={outlook.batch_kind}",
            "hours in place of minutes; the same rows",
        )
    if outlook.idle:
        yield Saving(
            outlook.idle, "gpu.lease_start=gpu", "with --until curate on a machine without the GPU"
        )
    for offers, key in (
        (outlook.cheaper.teachers, "teacher.model"),
        (outlook.cheaper.gpus, "gpu.name"),
    ):
        yield from _other(offers, key)


def _other(offers: tuple[Offer, ...], key: str) -> Iterator[Saving]:
    """The cheapest that we support, in place of the recipe's own, at prices that are not old; of teachers two, for they differ
    in what they write."""
    own = next((offer for offer in offers if offer.own), None)
    if own is None:
        return
    cheaper = [one for one in offers if one.nanodollars < own.nanodollars]
    others = [one for one in cheaper if one.supported and not one.aged]
    if key == "gpu.name":
        for best in others[:1]:
            how = f"gpu.name={best.name} gpu.provider={best.provider}"
            yield Saving(own.nanodollars - best.nanodollars, how, best.note)
    for best in others[:2] if key == "teacher.model" else ():
        how = f"another teacher: {best.name} at {best.provider}"
        yield Saving(own.nanodollars - best.nanodollars, how, "it writes other rows")
