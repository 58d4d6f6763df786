"""`alpaca-pipe plan`: each step with its verdict and what it is expected to take, the budget, and what would be cheaper."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence

from alpaca_pipe.core.aligned import Cell, in_columns, text
from alpaca_pipe.core.duration import spell
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.screen import Styled, echo_json, put
from alpaca_pipe.models.fit import GB
from alpaca_pipe.planner.cheapest import Offer, cents
from alpaca_pipe.planner.plan_summary import ALPACA_ROWS, STANFORD, PlanLine, PlanSummary, look
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog, Estimate
from alpaca_pipe.recipe.workspace import Workspace

_WIDTH = 100
_COLOURS = {"up to date": "green", "running": "cyan"}


def print_plan(
    recipe: Recipe,
    catalog: Catalog,
    workspace: Workspace,
    rehearsal: bool = False,
    as_json: bool = False,
) -> None:
    """For people, or for programs. Nothing is run, sent or written. Raises UserError, after all was printed, where the terms of
    what the recipe brings in forbid its use."""
    outlook = look(recipe, catalog, workspace, rehearsal)
    if as_json:
        echo_json(outlook.to_row())
        outlook.terms.check()
        return

    _steps(outlook)
    if outlook.total.minutes.p50 or outlook.total.api.p50:
        _table(outlook)
        for sentence in _sentences(outlook):
            _say(sentence)
        _offers(outlook)
    variable = getattr(recipe.tables.get("teacher"), "key_variable", None)
    if variable and not os.environ.get(variable):
        _say(
            f"note: the teacher's key {variable} is not set; planning does without, a run does not",
        )
    for sentence in outlook.doubts:
        _say(f"warning: {sentence}")
    for sentence in outlook.terms.warnings():
        _say(f"terms: {sentence}")
    _say(_last(outlook))
    outlook.terms.check()


def _steps(outlook: PlanSummary) -> None:
    for line in outlook.lines:
        verdict = Styled(f"{line.verdict:<10}", _COLOURS.get(line.verdict, "yellow"))
        put(f"  {line.step.stage.kind:<9} ", verdict, " ", end="")
        _say(line.why, 22, begun=True)
        if line.estimate and line.estimate.says:
            _say(line.estimate.says, 22, dim=True)
        if line.estimate and line.estimate.rests_on:
            _say(f"rests on: {line.estimate.rests_on.removeprefix('on ')}", 22, dim=True)


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
        (estimate.minutes, _minutes),
        (estimate.requests, _count),
        (estimate.tokens_in, _count),
        (estimate.tokens_out, _count),
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


def _minutes(minutes: float) -> str:
    return f"{minutes:,.0f}" if minutes >= 10 else f"{minutes:.1f}"


def _count(amount: float) -> str:
    """`940`, `15.3K`, `10.7M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if amount >= 0.9995 * size:
            return f"{amount / size:.3g}{letter}"
    return f"{amount:.0f}"


def _sentences(outlook: PlanSummary) -> Iterator[str]:
    total = outlook.total
    for price in outlook.prices:
        yield f"price: {price}"
    if outlook.machine.says:
        yield f"machine: {outlook.machine.says}"
    if outlook.machine.per_hour and (idle := sum(_idle(outlook.lines))) > 1:
        yield (
            f"the machine is billed for {spell(idle)} of steps that do not use the GPU "
            f"({cents(idle / 60 * outlook.machine.per_hour)}): `--until curate` elsewhere saves them"
        )
    if outlook.fit:
        yield f"memory: {outlook.fit}"
        if not outlook.fit.fits:
            cures = "; ".join(outlook.cures) or "another GPU of those below, or a smaller base"
            usual = f" (rows of twice the usual length: {outlook.fit.usual.total / GB:.0f} GB)"
            yield f"  what would fit{usual if outlook.fit.fits_usually else ''}: {cures}"
    if total.api.p90 and total.gpu.p90:
        yield f"money by class: api {_range(total.api)}; gpu {_range(total.gpu)}"
    for held in outlook.held:
        amount = held.expected.p90 if held.word != "will stop" else held.expected.p50
        which = "P90" if held.word != "will stop" else "P50"
        of = f"{cents(max(0, held.left))}" + (
            f" left of {cents(held.cap)}" if held.left != held.cap else ""
        )
        yield f"budget: {held.word}{' at' if held.word != 'fits' else ''} {held.key}: {which} {cents(amount)} of {of}"
    if outlook.scaled.p50 and not outlook.rehearsal:
        ours = f"this recipe {_range(outlook.scaled)}"
        if abs(outlook.rows / ALPACA_ROWS - 1) > 0.01:
            ours += (
                f" for {ALPACA_ROWS:,} rows (taken straight from {outlook.rows:,}; rather more, since the yield falls as "
                "the pool grows)"
            )
        yield f"Stanford paid under $600: {STANFORD}; {ours}"
    if outlook.cheaper.sentence:
        yield outlook.cheaper.sentence


def _idle(lines: Sequence[PlanLine]) -> Iterator[float]:
    """Minutes of the steps that are billed for a GPU and do not use it."""
    return (
        line.estimate.minutes.p50
        for line in lines
        if line.estimate and line.estimate.gpu.p50 and not line.step.stage.on_gpu
    )


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
        _say(
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


def _last(outlook: PlanSummary) -> str:
    total = outlook.total
    money = total.api + total.gpu
    if outlook.running:
        return f"{outlook.recipe}: running now (pid {outlook.running}); {_to_go(outlook, money, total)}"
    if not any(line.estimate for line in outlook.lines):
        return (
            f"{outlook.recipe}: everything is up to date; a run would send nothing and cost $0.00"
        )
    return f"{outlook.recipe}: {_to_go(outlook, money, total)}"


def _to_go(outlook: PlanSummary, money: Range, total: Estimate) -> str:
    paper = " on paper ($0.00 in truth)" if outlook.rehearsal else ""
    return f"about {spell(total.minutes.p50)} and {_range(money)}{paper} to go"


def _range(amount: Range) -> str:
    if not amount.p90:
        return "$0.00"
    low, middle, high = (cents(value) for value in (amount.p10, amount.p50, amount.p90))
    return f"{middle} ({low} to {high})"


def _say(sentence: str, indent: int = 0, dim: bool = False, begun: bool = False) -> None:
    """A sentence, wrapped at 100 columns and hanging under its beginning."""
    blank = " " * indent
    lines = textwrap.wrap(
        sentence, _width() - indent, break_long_words=False, break_on_hyphens=False
    ) or [""]
    for place, line in enumerate(lines):
        put(Styled(line if begun and place == 0 else f"{blank}{line}", "dim" if dim else ""))


def _width() -> int:
    """Of a terminal that is narrower, its own."""
    shown = sys.stdout.isatty()
    return min(shutil.get_terminal_size((_WIDTH, 0)).columns, _WIDTH) if shown else _WIDTH
