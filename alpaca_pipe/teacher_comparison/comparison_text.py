"""The table of a comparison, for a terminal; and what is said before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from alpaca_pipe.evaluate.bootstrap import Interval
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.teacher_comparison.contest import ComparisonResult, Contest
from alpaca_pipe.teacher_comparison.measures import EntrantMeasures

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 96  # characters of a row that is shown


def beforehand(contest: Contest) -> Iterator[str]:
    """What it will cost and how far it may go."""
    for one in contest.outlook.entrants:
        rest = contest.terms.prompts - one.stored
        have = f", {one.stored} of them stored" if one.stored else ""
        cost = (
            f"{one.requests.p50:,.0f} requests, {dollars(one.dollars)}"
            if rest > 0
            else "nothing to send"
        )
        yield f"{one.name}: {contest.terms.prompts} prompts{have}; {cost}"
    if contest.outlook.judged:
        yield f"the judge: at most {dollars(contest.outlook.judge)}"
    spent = f"{shown(contest.outlook.spent)} spent before, " if contest.outlook.spent else ""
    yield (
        f"together {spent}{dollars(contest.outlook.dollars)}; nothing is sent that could pass {shown(contest.cap)}"
        + ("" if contest.named else " (the P90 and what is in flight; --cap DOLLARS sets another)")
    )


def dollars(amount: Any) -> str:
    if not amount.p90:
        return "$0"
    return f"about {shown(round(amount.p50))} ({shown(round(amount.p10))} to {shown(round(amount.p90))})"


def print_result(result: ComparisonResult, console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for one in result.figures:
        table.add_column(one.name, justify="right")
    for name, cells in rows(result):
        table.add_row(Text(name), *map(Text, cells))
    console.print(table)
    for pair in result.pairs:
        console.print(f"{pair.first} and {pair.second}: {pair.says}")
    if result.judged:
        console.print(f"judged by {result.judged}", style="dim")
    console.print(
        Text.assemble(
            "\n",
            ("the same prompt, a row of each", "bold"),
            f" (whole in {result.contest.folder / 'contest.html'})",
        )
    )
    for place, told in result.side_by_side:
        for at, (figures, row) in enumerate(zip(result.figures, told, strict=True)):
            console.print(
                Text.assemble(
                    (f"{place if at == 0 else '':<7}", "dim"),
                    (f"{figures.name[:16]:<17}", "bold"),
                    _line(row),
                )
            )
    lost = f", {shown(result.money.lost)} lost (sent, outcome unknown)" if result.money.lost else ""
    console.print(
        f"\nspent by this comparison {shown(result.money.settled)}{lost}; {result.contest.recipe.name}'s budget counts it",
    )
    if result.short:
        console.print(
            f"it ended early, with {result.figures[0].prompts} of {result.contest.terms.prompts} prompts: {result.short}",
        )


def rows(result: ComparisonResult) -> Iterator[tuple[str, Sequence[str]]]:
    """(name, a cell for each entrant), as the page shows them too; intervals are 95 %."""
    found = result.figures
    yield "model", [one.model for one in found]
    yield "prompts", [f"{one.prompts:,}" for one in found]
    yield "requests", [f"{one.requests:,}" for one in found]
    yield "tokens in", [f"{one.tokens_in:,}" for one in found]
    yield "tokens out", [f"{one.tokens_out:,}" for one in found]
    yield (
        "rows accepted, of candidates",
        [
            f"{one.accepted:,} of {one.pieces:,} ({_share(one.accepted, one.pieces)})"
            for one in found
        ],
    )
    yield "rows a prompt", [_interval(one.a_prompt, ".2f") for one in found]
    if "curate" in result.contest.recipe.stages:
        yield (
            "kept by the recipe's filters",
            [f"{one.kept:,} ({_share(one.kept, one.accepted)})" for one in found],
        )
    if result.judged:
        yield (
            "passed by the judge",
            [
                f"{one.passed:,} of {one.graded:,} ({_share(one.passed, one.graded)})"
                for one in found
            ],
        )
        yield "mean grade", ["–" if one.grade is None else f"{one.grade:.2f}" for one in found]
    yield "cost", [shown(one.cost) for one in found]
    yield "$ an accepted row", [_money(one.an_accepted) for one in found]
    if any(one.good != one.accepted for one in found):
        yield "$ a good row (kept and passed)", [_money(one.a_good) for one in found]
    yield (
        "distinct root verbs",
        [f"{one.verbs} ({one.verbs_alike:.1f} in equally many rows)" for one in found],
    )
    for other in found:
        yield f"new against {other.name}", [_new(result, one, other) for one in found]


def _new(result: ComparisonResult, one: EntrantMeasures, other: EntrantMeasures) -> str:
    for pair in result.pairs:
        if (pair.first, pair.second) == (one.name, other.name):
            return _percent(pair.new_in_first)
        if (pair.second, pair.first) == (one.name, other.name):
            return _percent(pair.new_in_second)
    return ""


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"


def _interval(found: Interval, spelled: str) -> str:
    return f"{found.mean:{spelled}} [{found.lo:{spelled}}, {found.hi:{spelled}}]"


def _money(found: Interval) -> str:
    """Per row: to a millionth of a dollar, for rows are cheap."""
    if math.isnan(found.mean) or math.isinf(found.mean):
        return "no row came"
    low, high = (f"{value / 1e9:.6f}" if math.isfinite(value) else "∞" for value in found[1:])
    return f"${found.mean / 1e9:.6f} [{low}, {high}]" if found.hi else "$0"


def _line(row: dict[str, Any] | None) -> str:
    if row is None:
        return "no row"
    verdict = (
        f"[{row['dropped']}] "
        if row.get("dropped")
        else f"[{row['grade']:g}] "
        if "grade" in row
        else ""
    )
    text = (
        f"{verdict}{row['instruction']} → {row['output']}"
        if row.get("output")
        else f"{verdict}{row['instruction']}"
    )
    text = " ".join(text.split())
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."
