"""`alpaca-pipe plan pretrain`, `plan serving` and `plan prompts`: what is too large to run here, priced or played through. Nothing
is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.screen import echo, echo_json
from alpaca_pipe.ledger.machine.energy import PUE
from alpaca_pipe.ledger.pricing.gpu_rates import gpus
from alpaca_pipe.planner.plan_keys import keys, size
from alpaca_pipe.planner.pretraining import Pretraining, doubts, pretraining
from alpaca_pipe.planner.prompts_at_scale import print_prompts
from alpaca_pipe.planner.scaling_law import HOFFMANN, REPLICATION
from alpaca_pipe.planner.serving import Traffic, by_api, desktop, rented, size_of

_PRETRAIN: dict[str, float | str | None] = {
    "model": "",
    "parameters": None,
    "active": None,
    "tokens": None,
    "seen": None,
    "gpu": "H100",
    "gpus": None,
    "per_hour": None,
    "speed": None,
    "budget": None,
}
_SERVING: dict[str, float | str | None] = {
    "model": "llama-2-13b",
    "bits": 4.5,
    "gpu": "L4",
    "desktop_gpu": "RTX4090",
    "desktop": 2500.0,
    "years": 4.0,
    "per_kwh": 0.17,
    "api": "gpt-6-luna",
    "conversations": 1000.0,
    "turns": 4.0,
    "question": 60.0,
    "answer": 220.0,
}


def print_pretraining(words: Sequence[str], as_json: bool = False) -> None:
    """KEY=VALUE: model or parameters, active, tokens, seen, gpu, gpus, per_hour, speed, budget."""
    said: dict[str, Any] = dict(keys(words, _PRETRAIN, "pretrain"))
    budget = said.pop("budget")
    plan = pretraining(gpus_at_once=said.pop("gpus"), **said)
    if as_json:
        echo_json(_row(plan) | _budget_row(plan, budget))
        return
    for label, line in (*_lines(plan), *_budget(plan, budget)):
        echo(f"{label:<12} {line}")
    for sentence in doubts(plan):
        echo(f"note: {sentence}")


def _lines(plan: Pretraining) -> Iterator[tuple[str, str]]:
    part = f", {size(plan.active)} for each token" if plan.active < 0.95 * plan.parameters else ""
    before = f", {size(plan.seen)} of them seen already" if plan.seen else ""
    yield (
        "pretrain",
        (
            f"{size(plan.parameters)} parameters{part}, {size(plan.tokens)} tokens ({plan.tokens / plan.active:.0f} a "
            f"parameter{before})"
        ),
    )
    yield (
        "operations",
        f"{plan.flops:.3g}: 6 x {size(plan.active)} x {size(plan.tokens - plan.seen)}",
    )
    how = (
        f"at {plan.speed:,.0f} tokens a second and GPU"
        if plan.speed
        else "at 0.45 (0.30 to 0.52) of the datasheet; LLaMA's own hours are 0.43 to 0.51 of an A100's"
    )
    yield "GPU-hours", f"{_around(plan.hours, ',.0f')}, {plan.gpu}, {how}"
    days = plan.hours.times(1 / 24 / plan.gpus)
    yield (
        "time",
        f"{_around(days, ',.0f' if days.p50 >= 100 else '.3g')} days on {plan.gpus:g}; at least {plan.least_gpus} hold it",
    )
    yield (
        "energy",
        f"{_around(plan.mwh, '.3g')} MWh: {gpus()[plan.gpu].watts} W a GPU, times {PUE.value} for its building ({PUE.source})",
    )
    yield "carbon", f"{_around(plan.tonnes, '.3g')} t CO2e by the world's mean grid"
    source = (
        f"{plan.rate.provider}, checked {plan.rate.checked}" if plan.rate else "as the command says"
    )
    yield "dollars", f"${_around(plan.dollars, ',.0f')} at ${plan.per_hour:g} an hour ({source})"
    low, loss, high = plan.loss()
    yield (
        "loss",
        (
            f"{loss:.3f} nats a token of Chinchilla's texts (95 %: {low:.3f} to {high:.3f}); {REPLICATION.source}; Hoffmann's own fit "
            f"says {HOFFMANN.loss(plan.active, plan.tokens):.3f}"
        ),
    )
    if plan.seen:
        yield (
            "",
            f"it was {plan.loss(plan.seen)[1]:.3f} after {size(plan.seen)}: so much for ${plan.dollars.p50:,.0f}",
        )
    parameters, tokens = REPLICATION.best_split(6 * plan.active * plan.tokens)
    best = REPLICATION.loss(parameters, tokens)
    yield (
        "",
        f"as many operations are best spent on {size(parameters)} parameters and {size(tokens)} tokens: {best:.3f}",
    )
    if longer := REPLICATION.tokens_for(loss, plan.active / 2):
        more = 6 * plan.active / 2 * longer / (6 * plan.active * plan.tokens)
        yield (
            "",
            (
                f"half the size reaches the same loss with {size(longer)} tokens, {more:.2g} times the operations, and answers at half "
                "the price from then on"
            ),
        )


def _budget(plan: Pretraining, dollars: float | None) -> Iterator[tuple[str, str]]:
    if dollars is None:
        return
    tokens = plan.affords(dollars)
    affordable = plan.seen + tokens
    yield (
        "budget",
        f"${dollars:,.{2 * (dollars < 100)}f} buys {size(tokens)} tokens ({affordable / plan.active:.0f} a parameter in all), loss {plan.loss(affordable)[1]:.3f}",
    )
    flops = 6 * plan.active * tokens
    parameters, best = REPLICATION.best_split(flops)
    yield (
        "",
        f"or, best spent, {size(parameters)} parameters and {size(best)} tokens, loss {REPLICATION.loss(parameters, best):.3f}",
    )


def _budget_row(plan: Pretraining, dollars: float | None) -> dict[str, Any]:
    if dollars is None:
        return {}
    tokens = plan.affords(dollars)
    affordable = plan.seen + tokens
    loss = plan.loss(affordable)[1]
    return {"budget": {"dollars": dollars, "tokens": tokens, "predicted_loss": loss}}


def _around(amount: Range, form: str) -> str:
    if amount.p10 == amount.p90:
        return f"{amount.p50:{form}}"
    return f"{amount.p50:{form}} ({amount.p10:{form}} to {amount.p90:{form}})"


def _row(plan: Pretraining) -> dict[str, Any]:
    def spread(amount: Range) -> dict[str, float]:
        return {"p10": amount.p10, "p50": amount.p50, "p90": amount.p90}

    low, loss, high = plan.loss()
    return {
        "parameters": plan.parameters,
        "active": plan.active,
        "tokens": plan.tokens,
        "seen": plan.seen,
        "flops": plan.flops,
        "gpu": plan.gpu,
        "gpus": plan.gpus,
        "least_gpus": plan.least_gpus,
        "gpu_hours": spread(plan.hours),
        "mwh": spread(plan.mwh),
        "tonnes_co2e": spread(plan.tonnes),
        "dollars": spread(plan.dollars),
        "loss": {"low": low, "predicted": loss, "high": high},
        "notes": list(doubts(plan)),
    }


def print_serving(words: Sequence[str], as_json: bool = False) -> None:
    """KEY=VALUE: model, bits, gpu, desktop_gpu, desktop, years, per_kwh, api, conversations, turns, question, answer."""
    said: dict[str, Any] = dict(keys(words, _SERVING, "serving"))
    traffic = Traffic(*(said[name] for name in ("conversations", "turns", "question", "answer")))
    parameters, bits = size_of(said["model"]), said["bits"]
    paid, price = by_api(traffic, said["api"])
    machines = (
        rented(parameters, bits, said["gpu"]),
        desktop(
            parameters,
            bits,
            said["desktop_gpu"],
            traffic,
            said["desktop"],
            said["years"],
            said["per_kwh"],
        ),
    )
    ways = [(f"{said['api']} by its API", paid, price, True)]
    ways += [(one.name, one.a_day, one.parts, one.enough(traffic)) for one in machines]
    if as_json:
        names = ("way", "dollars_a_day", "made_of", "fast_enough")
        echo_json([dict(zip(names, way, strict=True)) for way in ways])
        return
    echo(
        f"serving      {traffic.conversations:,.0f} conversations a day of {traffic.turns:g} turns: {size(traffic.tokens_in)} tokens in, "
        f"{size(traffic.tokens_out)} out; in the busiest hour {traffic.busiest:.0f} a second"
    )
    for name, a_day, made_of, enough in ways:
        slow = "" if enough else "; too slow for the busiest hour"
        echo(f"${a_day:>8.2f}    a day, ${a_day * 30.4:,.0f} a month: {name} ({made_of}){slow}")
    own = machines[1].a_day
    echo(
        f"note: {said['model']} at {bits:g} bits is another model than {said['api']}: compare the two models before the prices. The "
        f"desktop is ${own - paid:+.2f} a day beside the API"
    )
    for one in machines:
        equal = traffic.conversations * one.a_day / paid
        echo(f"note: {one.name} costs what the API costs from {equal:,.0f} conversations a day on")


PLANS: dict[str, Callable[[Sequence[str], bool], None]] = {
    "pretrain": print_pretraining,
    "serving": print_serving,
    "prompts": print_prompts,
}
