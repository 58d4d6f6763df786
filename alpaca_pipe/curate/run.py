"""The work of [curate]: row by row, so that memory does not grow with them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alpaca_pipe.core import own_loop
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import same_file, shipped, write_json, write_jsonl
from alpaca_pipe.curate.config import GENERATED, CurateConfig
from alpaca_pipe.curate.diversity import Diversity
from alpaca_pipe.curate.filter_config import first_reason
from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.curate.grading.grader import Grades, grade
from alpaca_pipe.curate.inputs import HowToRead, Incoming, generated, imported
from alpaca_pipe.curate.judgement import Judged, Judgement
from alpaca_pipe.curate.outputs import CurationCounts, id_of, line_of, outputs_of, write_lines
from alpaca_pipe.curate.pieces import counter
from alpaca_pipe.curate.pipeline import judged
from alpaca_pipe.curate.review.overrides import OverrideTally
from alpaca_pipe.curate.rules import CurationRules
from alpaca_pipe.curate.same_answer import LEAST, same_answers
from alpaca_pipe.curate.split import held_out_ids
from alpaca_pipe.data.arrow import StoredRows
from alpaca_pipe.data.reading import TURNS
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.similarity.words import Words
from alpaca_pipe.teachers.factory import connect
from alpaca_pipe.teachers.rounds import at_once

_log = logging.getLogger(__name__)  # what becomes of each row, for `-v`


def curate(config: CurateConfig, context: StageContext) -> Outcome:
    """Writes examples, rejected and repaired rows, and the kept ones again as train and held_out.

    Summary: read = kept + the sum of rejected; kept = train + held_out; repaired is a part of read, and repairs counts its
    rules (a row may need several). by_hand.jsonl holds the rows that a person decided on. groups.jsonl holds the duplicates, each group with the row that was kept. What could not be read
    (`unreadable`) or held (`turns`) comes first in rejected.
    """
    came = _rows(config, context)
    rows = came.rows
    context.progress.start(len(rows), "rows")
    again, how, grades = (
        _Again(rows),
        _with_same_answers(CurationRules.of(config), rows, config),
        None,
    )
    if config.grade:
        grades = own_loop.run(_graded(config.grade, again, how, context))
        write_jsonl(
            context.folder / "grades.jsonl", (one.to_row() for one in grades.by_place.values())
        )
        again, how = (
            _Again(rows, grades.marked),
            replace(how, filters=(*how.filters, grades.as_filter())),
        )
        context.progress.start(len(rows), "rows")
    judgement = judged(again if grades else rows, how, lambda seen: _tick(context, seen // 2))
    tally = OverrideTally(config.decisions)
    counts = _written(came, judgement, tally, context, Diversity() if config.diversity else None)
    context.progress.at(len(rows), f"{len(counts.kept)} kept")
    if config.decisions:
        write_jsonl(context.folder / "by_hand.jsonl", tally.rows)
    if said := tally.said():
        context.progress.say(said)
    _check_enough(len(counts.kept), counts.rejected, config)
    held_out = held_out_ids(counts.kept, config.held_out, counts.wholes)
    _check_held_out(len(held_out), config)
    _split(context.folder, held_out)
    return Outcome(
        {"read": len(rows) + came.count_aside()}
        | counts.summary(len(held_out))
        | came.said()
        | ({"grade": grades.summary()} if grades else {})
        | tally.summary()
        | _varied(counts.varied, config.words, context.folder)
    )


def _with_same_answers(how: CurationRules, rows: StoredRows, config: CurateConfig) -> CurationRules:
    generated_here = LEAST if config.source is None else 0
    least = generated_here if config.same_answer is None else config.same_answer
    same = same_answers(rows, least) if least else None
    return replace(how, filters=(*how.filters, same.as_filter())) if same else how


def _written(
    came: Incoming,
    judgement: Judgement,
    tally: OverrideTally,
    context: StageContext,
    varied: Diversity | None,
) -> CurationCounts:
    """Writes each row where it belongs, part by part."""
    total = CurationCounts(varied=varied)

    def told(some: Iterable[Judged]) -> Iterator[Judged]:
        for one in some:
            tally.add(one.row, one.despite)
            yield one

    with (
        (context.folder / "examples.jsonl").open("wb") as keep,
        (context.folder / "rejected.jsonl").open("wb") as drop,
        (context.folder / "repaired.jsonl").open("wb") as mend,
    ):
        for aside in came.aside():
            total.rejected[aside["rule"]] += 1
            drop.write(line_of(aside))
        done = 0
        for part in judgement.parts(lambda some: outputs_of(told(some), varied is not None)):
            keep.write(part.examples)
            drop.write(part.rejected)
            mend.write(part.repaired)
            total.add(part.counts)
            for rule, reason, id in part.dropped:
                _log.debug("dropped, %s: %s (%s)", rule, reason, id)
            done += part.rows
            context.progress.at((len(came.rows) + done) // 2)
            context.stop_here()
    write_lines(context.folder / "groups.jsonl", judgement.groups_told())
    return total


@dataclass(frozen=True)
class _Again:
    """The rows from the beginning, with their grades, each time they are asked for."""

    rows: StoredRows
    marked: Callable[[Iterable[Example]], Iterator[Example]] = iter

    def __iter__(self) -> Iterator[Example]:
        return self.marked(self.rows)


async def _graded(
    config: Grading, rows: _Again, how: CurationRules, context: StageContext
) -> Grades:
    """Asks about each row that no filter drops, and says where a grade could not be read."""
    table = config.asked_of(context.tables.get("teacher"))
    context.progress.start(len(rows.rows), "rows to grade")
    async with connect(table, **context.asking("curate", "grader.log")) as teacher:
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
        say = context.progress.say
        if shipped("seed_tasks") in Path(config.source).parents:
            say(f"the rows are shipped ones of our own writing: {Path(config.source).name}")

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
            (
                (config.split_long.tokens, counter(config.split_long, context.tables, say))
                if config.split_long
                else None
            ),
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


def _check_held_out(found: int, config: CurateConfig) -> None:
    if config.held_out and not found:
        raise UserError(
            f"curate: every conversation has more than {config.held_out} pieces, so none can be held out whole",
            "raise curate.held_out, or curate.split_long.tokens",
        )


def _split(folder: Path, held_out: frozenset[str]) -> None:
    if not held_out:
        same_file(folder / "examples.jsonl", folder / "train.jsonl")
        (folder / "held_out.jsonl").write_bytes(b"")
        return
    with (
        (folder / "examples.jsonl").open("rb") as rows,
        (folder / "train.jsonl").open("wb") as train,
        (folder / "held_out.jsonl").open("wb") as held,
    ):
        for line in rows:
            (held if id_of(line) in held_out else train).write(line)


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
