"""The rows of a recipe's last run: those that were kept, or those that were dropped, with the reason."""

from __future__ import annotations

import random
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo_json, new_console
from alpaca_pipe.recipe.store import StepStore
from alpaca_pipe.report.message_texts import texts_by_name, turns_of
from alpaca_pipe.report.run_files import RunFiles, StageFiles, left

DROPPED = (
    ("generate", "rejected.jsonl"),
    ("curate", "rejected.jsonl"),
    ("train", "dropped.jsonl"),
    ("evaluate", "left_out.jsonl"),
)  # the stages that drop rows, and where they say so

_PAGE = 50  # rows that a terminal is shown
_SEED = 42  # the same command shows the same rows


@dataclass(frozen=True)
class StageRow:
    """A row as some stage left it. where: generate, curate, train (kept) or held out (kept); rule, reason and nearest
    only where it was dropped; text only where a piece of a reply could not be read. data: all of it, as it lies on disk."""

    id: str
    where: str
    instruction: str = ""
    input: str = ""
    output: str = ""
    rule: str = ""
    reason: str = ""
    nearest: str = ""
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def texts(self) -> tuple[str, ...]:
        said = tuple(text for _, text in self.turns) or (self.instruction, self.input, self.output)
        return *said, self.text

    @property
    def turns(self) -> tuple[tuple[str, str], ...]:
        """(who, what) of each message of a conversation."""
        return turns_of(self.data)


def rows(
    workspace: Path,
    recipe: str,
    *,
    rejected: bool = False,
    rule: str | None = None,
    sample: int | None = None,
    grep: str | None = None,
    run: Mapping[str, Any] | None = None,
) -> list[StageRow]:
    """In file order. Kept rows are curate's, or generate's where curate has not run; dropped rows are of all
    stages, also those that curate kept and that were too long to be trained on or scored.

    run: the line of the history that is meant; None is the last run. sample: so many, drawn with a fixed seed. grep: a regular expression, in any case, over all texts and the reason.
    Raises UserError for a run that has no rows, a rule that dropped nothing, an expression that is none.
    """
    found = left(workspace, recipe, run)
    chosen = list(dropped(found) if rejected else kept(found))
    if not chosen and not any(step.folder for step in found.steps.values()):
        raise UserError(
            f"{recipe}: it has no rows in {workspace}",
            f"run `alpaca-pipe run {recipe} --until curate`",
        )
    if rule is not None:
        rules = sorted({row.rule for row in chosen if row.rule})
        if rule not in rules:
            raise UserError(
                f"{recipe}: no row was dropped by a rule '{rule}'", did_you_mean(rule, rules)
            )
        chosen = [row for row in chosen if row.rule == rule]
    if grep is not None:
        chosen = matching(chosen, grep)
    return drawn(chosen, sample) if sample is not None else chosen


def print_rows(
    workspace: Path,
    recipe: str,
    *,
    rejected: bool = False,
    rule: str | None = None,
    sample: int | None = None,
    grep: str | None = None,
    run: Mapping[str, Any] | None = None,
    start: int = 1,
    limit: int | None = None,
    as_json: bool = False,
) -> None:
    """The same, for a terminal or for programs. start, limit: a page of them, from number `start` on; a terminal is shown 50 where
    nothing else is said, and that there are more is said."""
    from rich.text import Text

    check_whole(workspace, recipe, run)
    console = new_console(soft_wrap=True)
    every = rows(workspace, recipe, rejected=rejected, rule=rule, sample=sample, grep=grep, run=run)
    if limit is None and console.is_terminal and not as_json:
        limit = _PAGE
    found = every[start - 1 :][: limit or None]
    if as_json:
        echo_json(
            [
                {
                    name: value
                    for name, value in asdict(row).items()
                    if name == "id" or value and name != "data"
                }
                | ({"messages": row.data["messages"]} if row.turns else {})
                for row in found
            ]
        )
        return
    for row in found:
        console.print(Text.assemble((row.id or "(unread)", "bold"), f"  {row.where}"))
        for name, text in (*texts_by_name(row.data), ("text", row.text)):
            if text.strip():
                console.print(Text.assemble((f"  {name:<12}", "dim"), _on_one_line(text)))
        if row.rule:
            near = f" (nearest {row.nearest})" if row.nearest else ""
            console.print(Text.assemble((f"  {row.rule:<14} ", "yellow"), f"{row.reason}{near}"))
    console.print(_how_many(len(every), start, len(found)), style="dim", highlight=False)


def _how_many(every: int, start: int, shown: int) -> str:
    if shown == every:
        return f"{every} rows"
    last = start + shown - 1
    on = f"; --from {last + 1} continues, --limit 0 shows all" if last < every else ""
    return f"{shown} of {every:,} rows{on}"


def matching(chosen: list[StageRow], grep: str) -> list[StageRow]:
    """Those that a regular expression finds in a text or in the reason. Raises UserError for one that is none."""
    pattern = _pattern(grep)
    return [row for row in chosen if any(map(pattern.search, (*row.texts, row.reason)))]


def check_whole(workspace: Path, recipe: str, run: Mapping[str, Any] | None = None) -> None:
    """Raises UserError where a step's rows are no longer what was sealed."""
    for step in left(workspace, recipe, run).steps.values():
        done = StepStore(workspace / "store").done(step.folder) if step.folder else None
        if done and step.kind in ("generate", "curate") and (damage := done.damage()):
            raise UserError(
                f"{done.folder.name}: its sealed result is damaged: {damage}",
                f"run `alpaca-pipe run {recipe}` again, which sets it aside and makes it again",
            )


def kept(found: RunFiles, places: Container[int] | None = None) -> Iterator[StageRow]:
    """places: only those, counted from 0."""
    last = _last(found)
    curated = last.kind == "curate"
    held_out = {row["id"] for row in last.rows("held_out.jsonl")} if curated else set()
    where = "train" if curated else "generate"
    yield from (
        _row(row, "held out" if row["id"] in held_out else where)
        for row in last.rows("examples.jsonl", places)
    )


def some_kept(found: RunFiles, count: int) -> Iterator[StageRow]:
    """`count` of them as `drawn` draws, without reading the others."""
    return kept(found, set(_places(_last(found).count("examples.jsonl"), count)))


def _last(found: RunFiles) -> StageFiles:
    """The stage whose rows are the run's."""
    curate = found.step("curate")
    return curate if curate.sealed else found.step("generate")


def dropped(found: RunFiles) -> Iterator[StageRow]:
    for kind, name in DROPPED:
        yield from (_row(row, kind) for row in found.step(kind).rows(name))


def drawn(chosen: list[StageRow], count: int) -> list[StageRow]:
    """`count` of them in their order, the same ones every time."""
    return [chosen[place] for place in _places(len(chosen), count)]


def _places(total: int, count: int) -> list[int]:
    return sorted(random.Random(_SEED).sample(range(total), min(count, total)))


def _row(row: Any, where: str) -> StageRow:
    names = ("instruction", "input", "output", "rule", "reason", "nearest", "text")
    return StageRow(
        row.get("id", ""), where, **{name: row.get(name, "") for name in names}, data=row
    )


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise UserError(
            f"--grep '{text}': not a regular expression: {error}",
            f"to look for it as it is, write --grep '{re.escape(text)}'",
        ) from None


def _on_one_line(text: str) -> str:
    return " ⏎ ".join(line.strip() for line in text.strip().splitlines() if line.strip())
