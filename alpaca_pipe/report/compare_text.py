"""`alpaca-pipe compare X Y`, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from alpaca_pipe.evaluate.least_difference import LOSS
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.report.compare_runs import Bought, RunComparison, StepPair

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST = 60  # characters of a value
_RULES = 12  # of a stage


def print_beside(found: RunComparison, console: Console) -> None:
    """Tables one below the other; a part that has nothing to say is one line."""
    for letter, run in (("X", found.first), ("Y", found.second)):
        overrides = f"  [{' '.join(run.row['overrides'])}]" if run.row.get("overrides") else ""
        console.print(f"{letter}  {run.name}  {run.row.get('outcome', '')}{overrides}")
        if run.says:
            console.print(f"   {run.says}", style="dim")
    changes = [(one.key, _value(one.was), _value(one.now)) for one in found.changes]
    _table(console, "the recipe", ("key", "X", "Y"), changes, "the recipes have the same keys")
    _table(
        console,
        "steps",
        ("step", "", "minutes X", "minutes Y", "why"),
        list(map(_step, found.steps)),
        "no step was run",
    )
    rows = found.rows
    _titled(
        console,
        "rows",
        f"  {rows.was:,} in X, {rows.now:,} in Y: {rows.same:,} are the same, {rows.gone:,} went, "
        f"{rows.came:,} came",
    )
    for kind, rules in found.rules.items():
        shown_rules = [
            (rule, f"{was:,}", f"{now:,}", f"{now - was:+,}")
            for rule, (was, now) in list(rules.items())[:_RULES]
        ]
        _table(console, f"dropped by {kind}", ("rule", "X", "Y", ""), shown_rules, "")
    _table(console, "money", ("", "X", "Y"), list(_money(*found.bought)), "")
    if found.not_compared:
        _titled(console, "scores", f"  {found.not_compared}")
        return
    _titled(
        console,
        "held-out loss",
        f", nats a token on the {found.scores[0].rows} rows that both runs hold out (95 % interval, paired; less than "
        f"{LOSS.said(found.scores[0].least)} does not count)",
    )
    for score in found.scores:
        gap = score.difference
        console.print(
            f"  {score.model:<6} {score.first.mean:.3f} -> {score.second.mean:.3f}   Y is {gap.mean:+.3f} "
            f"[{gap.lo:+.3f}, {gap.hi:+.3f}]: {score.word}",
        )


def _step(pair: StepPair) -> tuple[str, ...]:
    minutes = ["–" if each is None else f"{each:.1f}" for each in pair.minutes]
    return (pair.kind, pair.word, *minutes, "; ".join(pair.why))


def _money(one: Bought, other: Bought) -> Iterator[tuple[str, ...]]:
    both = (one, other)
    yield "cost of its replies, whoever bought them", *(_dollars(each.nanodollars) for each in both)
    yield "spent in this very run", *(_dollars(each.this_run) for each in both)
    yield "a kept row", *(_dollars(each.each) for each in both)
    for name in ("requests", "tokens_in", "tokens_out"):
        yield name.replace("_", " "), *(f"{getattr(each, name):,}" for each in both)
    yield "served by", *(", ".join(each.models) or "–" for each in both)
    yield "$ a million tokens, in and out", *(_prices(each) for each in both)


def _prices(bought: Bought) -> str:
    return (
        "; ".join(
            f"{price.get('uncached_in', '?')} / {price.get('visible_out', '?')}"
            for price in bought.prices.values()
        )
        or "–"
    )


def _dollars(amount: float | None) -> str:
    return "–" if amount is None else shown(round(amount))


def _value(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _titled(console: Console, title: str, rest: str = "") -> None:
    from rich.text import Text

    console.print(Text.assemble("\n", (title, "bold"), rest))


def _table(
    console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], nothing: str
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not rows:
        if nothing:
            _titled(console, title, f"  {nothing}")
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(head):
        number = place and all(row[place][:1] in "0123456789$<+-–" for row in rows)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    _titled(console, title)
    console.print(table)
