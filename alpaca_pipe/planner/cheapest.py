"""The same recipe at other prices: other teachers for the same tokens, other GPUs for the same tune, a provider's tuning.

A price says nothing about quality: another teacher writes other rows, and needs more or fewer tokens for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.machine.planned_machine import Machine
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.end_of_life import living
from alpaca_pipe.ledger.pricing.gpu_rates import Gpu, GpuRate, gpu_rates, gpus, hosted_rates
from alpaca_pipe.ledger.pricing.token_prices import OLD, Price, prices_on
from alpaca_pipe.models.speed import WITHOUT_BF16
from alpaca_pipe.planner.training_cost import tuned_tokens
from alpaca_pipe.recipe.plan import Step
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Estimate, EstimateInputs
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.train.cost_estimate import Job

SHOWN = 6  # rows of a table


def cents(nanodollars: float) -> str:
    """A forecast for a reader: whole cents are more than enough."""
    whole = round(nanodollars / NANO * 100)
    return f"${whole / 100:,.2f}" if whole or not nanodollars else "<$0.01"


@dataclass(frozen=True)
class Offer:
    """P50, nano-dollars. aged: how old its price is, where it may have moved since. supported: False where the
    trainer was not made for it (ROCm). own: the recipe's own choice."""

    name: str
    provider: str
    price: str  # as it is asked
    nanodollars: int
    note: str = ""
    aged: str = ""
    supported: bool = True
    own: bool = False


@dataclass(frozen=True)
class Cheaper:
    """Each cheapest first; the recipe's own among them, though it may not be one of the cheapest."""

    teachers: tuple[Offer, ...] = ()
    gpus: tuple[Offer, ...] = ()
    hosted: tuple[Offer, ...] = ()

    @property
    def sentence(self) -> str:
        """What would be cheaper, with what it saves."""
        parts = []
        for offers in (self.teachers, self.gpus):
            own = next((offer for offer in offers if offer.own), None)
            best = next((offer for offer in offers if offer.supported), None)
            if own and best and best.nanodollars < 0.95 * own.nanodollars:
                where = f" at {best.provider}" if best.provider else ""
                aged = f" ({best.aged})" if best.aged else ""
                parts.append(
                    f"{best.name}{where} {cents(best.nanodollars)}{aged} in place of {own.name} {cents(own.nanodollars)}"
                )
        return (
            f"what would be cheaper: {'; '.join(parts)}"
            if parts
            else "nothing in the price book is much cheaper"
            if self.teachers or self.gpus
            else ""
        )

    def to_row(self) -> Mapping[str, Any]:
        return asdict(self) | {"sentence": self.sentence}


def cheaper(
    steps: Sequence[Step],
    recipe: Recipe,
    workspace: Workspace,
    estimates: Mapping[str, Estimate],
    job: Job | None,
    machine: Machine,
    day: date,
) -> Cheaper:
    """Of what must still be paid: a free teacher and a machine of one's own have no cheaper ones."""
    teacher = recipe.tables.get("teacher")
    asked = [one for one in estimates.values() if one.api.p50]
    teachers = (
        _teachers(
            round(sum(one.tokens_in.p50 for one in asked)),
            round(sum(one.tokens_out.p50 for one in asked)),
            teacher.priced(),
            day,
        )
        if teacher and asked
        else ()
    )
    if job is None or (machine.gpu is None and not machine.per_hour):
        return Cheaper(teachers)
    return Cheaper(
        teachers,
        _machines(steps, recipe, workspace, estimates, job, machine, day),
        _hosted(job, day),
    )


def _teachers(tokens_in: int, tokens_out: int, own: Price, day: date) -> tuple[Offer, ...]:
    """What the same tokens cost at each price of the book, online and in batches; dated names at one price are one."""
    offers: dict[tuple[str, str, int], Offer] = {}
    for price in sorted(
        (own, *living(prices_on(day), day)),
        key=lambda price: (price != own, len(price.model), price.model),
    ):
        each = price.per_million
        amount = round((each["uncached_in"] * tokens_in + each["visible_out"] * tokens_out) * 1000)
        offer = Offer(
            price.model.rpartition("/")[2],
            price.provider,
            f"${each['uncached_in']:f} in, ${each['visible_out']:f} out",
            amount,
            "in batches" if price.mode == "batch" else "",
            _age(price.checked, day),
            own=price == own,
        )
        family = (price.provider or price.model, price.mode, amount)
        if not price.free or offer.own:
            offers.setdefault(family, offer)
    return _first(offers.values())


def _machines(
    steps: Sequence[Step],
    recipe: Recipe,
    workspace: Workspace,
    estimates: Mapping[str, Estimate],
    job: Job,
    machine: Machine,
    day: date,
) -> tuple[Offer, ...]:
    """Each GPU in which the tune fits, for the steps that load the model, at its cheapest provider."""
    cheapest: dict[str, GpuRate] = {}
    for rate in gpu_rates(day):
        cheapest.setdefault(rate.gpu, rate)
    loading = [step for step in steps if not step.done and step.on_gpu]

    everything = recipe.everything()

    def minutes(gpu: Gpu, rate: GpuRate) -> float:
        tables = {**everything, "gpu": GpuTable(name=gpu.name, per_hour=rate.per_hour)}
        return sum(
            step.stage.estimate(
                step.config, tables, EstimateInputs(step.inputs or {}, workspace.root, recipe.name)
            ).minutes.p50
            for step in loading
        )

    offers = []
    for name, rate in cheapest.items():
        gpu = gpus().get(name)
        if gpu and name not in WITHOUT_BF16 and job.on(gpu).fits:
            taken, supported = minutes(gpu, rate), not name.startswith("MI")
            offers.append(
                Offer(
                    name,
                    rate.provider,
                    f"${rate.per_hour:.2f} an hour",
                    round(taken / 60 * rate.nanodollars_per_hour * job.processes),
                    f"{taken:.0f} min{'' if supported else ', on ROCm: not tried'}",
                    _age(rate.checked, day),
                    supported=supported,
                )
            )
    if machine.gpu:
        taken = sum(estimates[step.stage.kind].minutes.p50 for step in loading)
        tight = "" if job.on(machine.gpu).fits else ", does not fit"
        offers.append(
            Offer(
                machine.gpu.name,
                "",
                f"{cents(machine.per_hour)} an hour",
                round(taken / 60 * machine.per_hour),
                f"{taken:.0f} min{tight}",
                own=True,
            )
        )
    return _first(offers)


def _hosted(job: Job, day: date) -> tuple[Offer, ...]:
    """The same rows and passes at a provider that tunes its own model; a control is not to be had there."""
    tokens = tuned_tokens(job)
    offers: dict[tuple[str, int], Offer] = {}
    for rate in hosted_rates(day):
        amount = max(
            round(rate.per_million * NANO * round(tokens) / 1_000_000), round(rate.minimum * NANO)
        )
        offers.setdefault(
            (rate.provider, amount),
            Offer(
                rate.model,
                rate.provider,
                f"${rate.per_million:f} a million tokens",
                amount,
                rate.method,
                _age(rate.checked, day),
            ),
        )
    return _first(offers.values())


def _age(checked: date | None, day: date) -> str:
    """Of a price that may have moved since; a price that nobody dates is the recipe's own."""
    days = (day - checked).days if checked else 0
    return f"checked {days} days ago" if days > OLD else ""


def _first(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """The cheapest few and the recipe's own."""
    ordered = sorted(offers, key=lambda offer: (offer.nanodollars, not offer.own, offer.name))
    return tuple(_kept(ordered))


def _kept(ordered: Sequence[Offer]) -> Iterator[Offer]:
    for place, offer in enumerate(ordered):
        if place < SHOWN or offer.own:
            yield offer
