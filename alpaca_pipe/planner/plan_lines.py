"""The sentences and figures that both pages of a plan share."""

from __future__ import annotations

import shutil
import sys
import textwrap

from alpaca_pipe.core.duration import spell
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.screen import Styled, put
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.planner.cheapest import cents
from alpaca_pipe.planner.plan_summary import CapCheck, PlanLine, PlanSummary

_WIDTH = 100
_COLOURS = {"up to date": "green", "running": "cyan"}


def verdict_of(line: PlanLine) -> Styled:
    return Styled(f"{line.verdict:<10}", _COLOURS.get(line.verdict, "yellow"))


def budget_line(held: CapCheck) -> str:
    """One cap: whether what is to come fits below it."""
    if held.unpriced:
        return f"budget: whether {held.key} holds is not known: the machine has no price"
    stops = held.word == "will stop"
    amount = held.expected.p50 if stops else held.expected.p90
    of = cents(max(0, held.left)) + (f" left of {cents(held.cap)}" if held.left != held.cap else "")
    at = "" if held.word == "fits" else " at"
    kept = (
        f"; {cents(held.kept)} of it is kept free to store the work in (gpu.grace)"
        if held.kept >= NANO // 100
        else ""
    )
    return f"budget: {held.word}{at} {held.key}: {'P50' if stops else 'P90'} {cents(amount)} of {of}{kept}"


def control_line(outlook: PlanSummary) -> str:
    """What the second tune is of the whole; "" where there is none."""
    control = outlook.control
    if control is None:
        return ""
    money = f"{in_range(control.gpu)} and " if control.gpu.p50 else ""
    return f"control: {money}{spell(control.minutes.p50)} of it; train.control=none leaves it out"


def last_line(outlook: PlanSummary) -> str:
    if outlook.running:
        return f"{outlook.recipe}: running now (pid {outlook.running}); {_to_go(outlook)}"
    if not any(line.estimate for line in outlook.lines):
        return (
            f"{outlook.recipe}: everything is up to date; a run would send nothing and cost $0.00"
        )
    return f"{outlook.recipe}: {_to_go(outlook)}"


def _to_go(outlook: PlanSummary) -> str:
    total = outlook.total
    paper = " of simulated money ($0.00 is spent)" if outlook.rehearsal else ""
    return f"about {spell(total.minutes.p50)} and {in_range(total.api + total.gpu)}{paper} to go"


def in_range(amount: Range) -> str:
    """Nano-dollars: `$5.70 ($3.60 to $20.27)`."""
    if not amount.p90:
        return "$0.00"
    low, middle, high = (cents(value) for value in (amount.p10, amount.p50, amount.p90))
    return f"{middle} ({low} to {high})"


def minutes_of(minutes: float) -> str:
    return f"{minutes:,.0f}" if minutes >= 10 else f"{minutes:.1f}"


def count_of(amount: float) -> str:
    """`940`, `15.3K`, `10.7M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if amount >= 0.9995 * size:
            return f"{amount / size:.3g}{letter}"
    return f"{amount:.0f}"


def say(sentence: str, indent: int = 0, dim: bool = False, begun: bool = False) -> None:
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
