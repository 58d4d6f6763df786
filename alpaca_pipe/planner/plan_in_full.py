"""`alpaca-pipe plan -v`: what each step will do, what its figures rest on, all figures, and all that would be cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from alpaca_pipe.core.aligned import Cell, in_columns, text
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.screen import Styled, put
from alpaca_pipe.models.fit import GB
from alpaca_pipe.planner.cheapest import Offer, cents
from alpaca_pipe.planner.plan_lines import (
    budget_line,
    control_line,
    count_of,
    in_range,
    minutes_of,
    say,
    verdict_of,
)
from alpaca_pipe.planner.plan_summary import ALPACA_ROWS, STANFORD, PlanSummary
from alpaca_pipe.recipe.stage import Estimate


def print_in_full(outlook: PlanSummary) -> None:
    _steps(outlook)
    if outlook.total.minutes.p50 or outlook.total.api.p50:
        _table(outlook)
        for sentence in _sentences(outlook):
            say(sentence)
        _offers(outlook)


def _steps(outlook: PlanSummary) -> None:
    for line in outlook.lines:
        put(f"  {line.step.stage.kind:<9} ", verdict_of(line), " ", end="")
        say(line.why, 22, begun=True)
        if line.estimate and line.estimate.says:
            say("; ".join([line.estimate.says, *line.estimate.notes]), 22, dim=True)
        if line.estimate and line.estimate.rests_on:
            say(f"rests on: {line.estimate.rests_on.removeprefix('on ')}", 22, dim=True)


def _table(outlook: PlanSummary) -> None:
    """The middle of each figure, and below it from P10 to P90."""
    coming = {line.step.stage.kind: line.estimate for line in outlook.lines if line.estimate}
    rows: list[list[Cell]] = [
        ["  step", "dollars", "minutes", "requests", "tokens in", "tokens out"],
    ]
    for kind, estimate in coming.items():
        rows += _two_rows(kind, estimate)
    if len(coming) > 1:
        rows += [[""] * 6, *_two_rows("together", outlook.total)]
    put(Styled("\n  in the middle (P50), and below it from P10 to P90", "dim"))
    head, *lines = in_columns(rows, right=range(1, 6), gap=3)
    put(*(Styled(text(part), "bold") for part in head))
    put("─" * max(sum(len(text(part)) for part in line) for line in [head, *lines]))
    for line in lines:
        put(*line)
    put()


def _two_rows(name: str, estimate: Estimate) -> Iterator[list[Cell]]:
    ranges: tuple[tuple[Range, Callable[[float], str]], ...] = (
        (estimate.api + estimate.gpu, cents),
        (estimate.minutes, minutes_of),
        (estimate.requests, count_of),
        (estimate.tokens_in, count_of),
        (estimate.tokens_out, count_of),
    )
    middles, around = [], []
    for amount, spelled in ranges:
        low, middle, high = (spelled(value) for value in (amount.p10, amount.p50, amount.p90))
        said = amount.p90 or spelled is cents
        middles.append(middle if said else "")
        around.append(Styled(f"{low} - {high}" if said and low != high else "", "dim"))
    yield [f"  {name}", *middles]
    if any(cell.text for cell in around):
        yield ["", *around]


def _sentences(outlook: PlanSummary) -> Iterator[str]:
    total = outlook.total
    for price in outlook.prices:
        yield f"price: {price}"
    if outlook.machine.says:
        yield f"machine: {outlook.machine.says}"
    if sentence := outlook.elsewhere:
        yield sentence
    if outlook.fit:
        yield f"memory: {outlook.fit}"
        if not outlook.fit.fits:
            cures = "; ".join(outlook.cures) or "another GPU of those below, or a smaller base"
            usual = f" (rows of twice the usual length: {outlook.fit.usual.total / GB:.0f} GB)"
            yield f"  what would fit{usual if outlook.fit.fits_usually else ''}: {cures}"
    if total.api.p90 and total.gpu.p90:
        yield f"money by class: api {in_range(total.api)}; gpu {in_range(total.gpu)}"
    for held in outlook.held:
        yield budget_line(held)
    if sentence := control_line(outlook):
        yield sentence
    if outlook.scaled.p50 and not outlook.rehearsal:
        ours = f"this recipe {in_range(outlook.scaled)}"
        if abs(outlook.rows / ALPACA_ROWS - 1) > 0.01:
            ours += (
                f" for {ALPACA_ROWS:,} rows (taken straight from {outlook.rows:,}; rather more, since the yield falls as "
                "the pool grows)"
            )
        yield f"Stanford paid under $600: {STANFORD}; {ours}"
    if outlook.cheaper.sentence:
        yield outlook.cheaper.sentence


def _offers(outlook: PlanSummary) -> None:
    found = outlook.cheaper
    for title, offers in (
        ("teachers: the same tokens, at today's prices a million", found.teachers),
        ("GPUs: train, evaluate and export on one, at its cheapest provider", found.gpus),
        (
            "hosted tuning: the same rows and epochs, without a control; the weights stay there",
            found.hosted,
        ),
    ):
        if offers:
            _offer_table(title, offers)
    if found.teachers:
        say(
            "  * the recipe's own. Another teacher writes other rows, with more or fewer tokens; one that reasons is "
            "billed for its reasoning too, which is not counted here.",
            2,
            dim=True,
        )


def _offer_table(title: str, offers: Sequence[Offer]) -> None:
    rows = []
    for offer in offers:
        name = f"{offer.name} *" if offer.own else offer.name
        notes = ", ".join(filter(None, (offer.note, offer.aged)))
        cells = (f"{cents(offer.nanodollars):>9}", name, offer.provider, offer.price, notes)
        rows.append([Styled(cell, "bold") if offer.own else cell for cell in cells])
    put(f"\n  {title}")
    for line in in_columns(rows, right={0}):
        put(*line)
