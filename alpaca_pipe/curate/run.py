"""The work of [curate]: row by row, so that memory does not grow with them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_jsonl, same_file, write_json, write_jsonl
from alpaca_pipe.curate.config import GENERATED, CurateConfig
from alpaca_pipe.curate.diversity import Diversity
from alpaca_pipe.curate.filter_config import first_reason
from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.curate.grading.grader import Grades, at_once, grade
from alpaca_pipe.curate.inputs import HowToRead, Incoming, generated, imported
from alpaca_pipe.curate.pipeline import CurationRules, Judged, judged
from alpaca_pipe.curate.review.overrides import OverrideTally
from alpaca_pipe.curate.split import held_out_ids
from alpaca_pipe.data.arrow import stream
from alpaca_pipe.data.reading import TURNS
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.similarity.words import Words
from alpaca_pipe.teachers.factory import connect

if TYPE_CHECKING:
    from datasets import Dataset

_log = logging.getLogger(__name__)  # what becomes of each row, for `-v`


def curate(config: CurateConfig, context: StageContext) -> Outcome:
    """Writes examples, rejected and repaired rows, and the kept ones again as train and held_out.

    Summary: read = kept + the sum of rejected; kept = train + held_out; repaired is a part of read, and repairs counts its
    rules (a row may need several). by_hand.jsonl holds the rows that a person decided on. groups.jsonl holds the duplicates, each group with the row that was kept. What could not be read
    (`unreadable`) or held (`turns`) comes first in rejected.
    """
    came = _rows(config, context)
    rows, count = came.rows, _Count()
    varied = Diversity() if config.diversity else None
    tally = OverrideTally(config.decisions)
    context.progress.start(len(rows), "rows")
    with (
        _writer(context.folder / "examples.jsonl") as keep,
        _writer(context.folder / "rejected.jsonl") as drop,
        _writer(context.folder / "repaired.jsonl") as mend,
        _writer(context.folder / "groups.jsonl") as group,
    ):
        for aside in came.aside():
            count.rejected[aside["rule"]] += 1
            drop(aside)
        read = len(rows) + count.rejected.total()
        again, how, grades = _Again(rows), CurationRules.of(config), None
        if config.grade:
            grades = asyncio.run(_graded(config.grade, again, how, context))
            write_jsonl(
                context.folder / "grades.jsonl", (one.to_row() for one in grades.by_place.values())
            )
            again, how = (
                _Again(rows, grades.marked),
                replace(how, filters=(*how.filters, grades.as_filter())),
            )
            context.progress.start(len(rows), "rows")
        judgement = judged(again, how, lambda seen: _tick(context, seen // 2))
        for told in judgement.groups_told():
            group(told)
        for number, row in enumerate(judgement, 1):
            tally.add(row.row, row.despite)
            count.add(row, keep, drop, mend)
            if varied and not row.rejected:
                varied.add(row.example)
            _tick(context, (len(rows) + number) // 2)
    context.progress.at(len(rows), f"{len(count.kept)} kept")
    if config.decisions:
        write_jsonl(context.folder / "by_hand.jsonl", tally.rows)
    if said := tally.said():
        context.progress.say(said)
    _check_enough(len(count.kept), count.rejected, config)
    _split(context.folder, held_out_ids(count.kept, config.held_out))
    return Outcome(
        {"read": read}
        | count.summary(config.held_out)
        | came.said()
        | ({"grade": grades.summary()} if grades else {})
        | tally.summary()
        | _varied(varied, config.words, context.folder)
    )


@dataclass
class _Count:
    """What became of the rows so far; kept: ids."""

    kept: list[str] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)  # by rule
    repaired: int = 0
    repairs: Counter[str] = field(default_factory=Counter)  # by rule; a row may need several

    def add(self, row: Judged, keep: _Write, drop: _Write, mend: _Write) -> None:
        """Counts one row and writes it where it belongs."""
        if row.before:
            self.repaired += 1
            self.repairs.update(row.repair.split(", "))
            both = {"before": row.before.to_row(), "after": row.example.to_row()}
            mend({"rule": row.repair} | both)
        if row.rejected:
            rule, reason = row.rejected.rule, row.rejected.reason
            self.rejected[rule] += 1
            drop(row.rejected.to_row())
            _log.debug("dropped, %s: %s (%s)", rule, reason, row.example.id)
        else:
            self.kept.append(row.example.id)
            keep(row.example.to_row())

    def summary(self, held_out: int) -> dict[str, Any]:
        return {
            "kept": len(self.kept),
            "repaired": self.repaired,
            "repairs": dict(self.repairs.most_common()),
            "rejected": dict(self.rejected.most_common()),
            "train": len(self.kept) - held_out,
            "held_out": held_out,
        }


@dataclass(frozen=True)
class _Again:
    """The rows from the beginning, each time they are asked for: the judgement passes over them twice."""

    rows: Dataset
    marked: Callable[[Iterable[Example]], Iterator[Example]] = iter

    def __iter__(self) -> Iterator[Example]:
        return self.marked(stream(self.rows))


async def _graded(
    config: Grading, rows: _Again, how: CurationRules, context: StageContext
) -> Grades:
    """Asks about each row that no filter drops, and says where a grade could not be read."""
    table = config.asked_of(context.tables.get("teacher"))
    context.progress.start(len(rows.rows), "rows to grade")
    async with connect(
        table,
        journal=context.journal,
        caps=context.caps,
        recipe=context.recipe,
        run=context.run,
        stage="curate",
        log=context.scratch / "grader.log",
        stopping=context.stopping,
        say=context.progress.say,
    ) as teacher:
        grades = await grade(
            _to_grade(rows, how),
            teacher,
            config,
            at_once(table),
            lambda place: context.progress.at(place + 1),
        )
    unread = [one for one in grades.by_place.values() if one.value is None]
    if unread:
        context.progress.say(
            f"{len(unread):,} of {grades.requests:,} grades could not be read; these rows stay ({unread[0].words})"
        )
    return grades


def _to_grade(rows: Iterable[Example], how: CurationRules) -> Iterator[tuple[int, Example]]:
    """A grade plays no part for what a person dropped or wrote, so none is bought."""
    for place, row in enumerate(how.coming(rows)):
        if not (row.dropped or row.edited or first_reason(row.example, how.filters)):
            yield place, row.example


def _tick(context: StageContext, done: int) -> None:
    if done % 500 == 0:
        context.progress.at(done)
        context.stop_here()


def _rows(config: CurateConfig, context: StageContext) -> Incoming:
    """What is judged: the source of one's own, or what generate accepted; of either the first so many."""
    if config.source:
        context.progress.start(0, "rows")

        def tick(number: int) -> None:
            context.progress.at(number, f"{number:,} rows read")
            context.stop_here()

        return imported(
            config.source,
            HowToRead(
                config.format,
                config.keep_going,
                config.turns,
                config.first,
                config.columns,
                config.split,
            ),
            context.scratch,
            tick,
        )
    if GENERATED in context.inputs:
        return generated(context.inputs[GENERATED], config.first, context.scratch)
    raise UserError(
        "curate: there are no rows to judge",
        "add a table 'generate:', or 'from: FILE' to 'curate:'",
    )


def _check_enough(kept: int, rejected: Counter[str], config: CurateConfig) -> None:
    if kept > config.held_out:
        return
    why = ", ".join(f"{rule} {count}" for rule, count in rejected.most_common())
    dropped = f"dropped: {why}" if why else "none was dropped"
    cures = ["raise generate.count"] if config.source is None else []
    cures += ["loosen curate.filters or curate.likeness"]
    if rejected[TURNS] > kept:
        cures.append("keep the first exchange of each conversation with curate.turns: first")
    if not config.held_out:
        raise UserError(f"curate: no row was kept ({dropped})", ", or ".join(cures))
    cures.append(f"lower curate.held_out{f' below {kept}' if kept > 1 else ''}")
    raise UserError(
        f"curate: {kept} rows were kept ({dropped}), and {config.held_out} of them are to be held out, which "
        "leaves none to train on",
        ", ".join(cures[:-1]) + f", or {cures[-1]}",
    )


def _split(folder: Path, held_out: frozenset[str]) -> None:
    if not held_out:
        same_file(folder / "examples.jsonl", folder / "train.jsonl")
        (folder / "held_out.jsonl").write_bytes(b"")
        return
    with _writer(folder / "train.jsonl") as train, _writer(folder / "held_out.jsonl") as held:
        for row in read_jsonl(folder / "examples.jsonl"):
            (held if row["id"] in held_out else train)(row)


def _varied(found: Diversity | None, words: Words, folder: Path) -> dict[str, Any]:
    """diversity.json for the report; its chief figures for the summary."""
    if found is None:
        return {}
    row = found.to_row(words)
    write_json(folder / "diversity.json", row)
    return {
        "diversity": {name: row[name] for name in ("with_verb", "verbs", "pairs")}
        | {"nearest": row["nearest"]["median"]}
    }


class _Write(Protocol):
    def __call__(self, row: Any) -> object: ...


@contextmanager
def _writer(path: Path) -> Iterator[_Write]:
    """Row by row, so that memory does not grow with them; what an interrupted run left is written anew."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        yield lambda row: out.write(json.dumps(row, ensure_ascii=False) + "\n")
