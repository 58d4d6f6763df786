"""The work of [generate]: round after round until enough rows are accepted; replies of an earlier run are used first."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from alpaca_pipe.core import own_loop
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.data.terms import terms_of
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.forecast.history import ROUNDS, past_of
from alpaca_pipe.generate.forecast.pilot import Pilot
from alpaca_pipe.generate.forecast.simulation import imagine
from alpaca_pipe.generate.forecast.workload import order_of, prior_of
from alpaca_pipe.generate.loop import Generation
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.prompts.starting_pool import extended_of, grounds_of, known_of, seating_of
from alpaca_pipe.generate.replay.replay import (
    SEATS,
    NotStored,
    StoredTeacher,
    changed_filter,
    earlier,
)
from alpaca_pipe.generate.seeds.seeds import Seed, read_seeds
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect


def generate(config: GenerateConfig, context: StageContext) -> Outcome:
    """Writes examples, rejected, seats and seeds. Summary: pieces = accepted + the sum of rejected; `extended` rows stand
    before the accepted ones."""
    return own_loop.run(_run(config, context))


async def _run(config: GenerateConfig, context: StageContext) -> Outcome:
    rows, sends = extended_of(config), _may_send(context)
    async with _teacher(context, sends) as teacher:
        style = style_of(config, context.tables["teacher"], teacher.takes)
        seeds, grounds = read_seeds(config.seeds) if style.seeded else (), grounds_of(config, style)
        pool = Pool(
            known_of(config, style, grounds, rows), config.likeness, config.words, style.ties
        )
        before = earlier(
            context.folder,
            context.scratch,
            (context.begun, context.before),
            context.journal,
            context.fresh,
        )
        generation = Generation(
            seating_of(config, style, context.seed, grounds),
            teacher,
            pool,
            config.limits,
            context.tables["teacher"].author,
            before,
            examples=list(rows),
            does_without=changed_filter(context.before, context.folder),
        )
        pilot = _pilot(config, context, generation)
        try:
            note = await _until_enough(generation, context, pilot if sends else None)
        except NotStored:
            raise _stopped_short(generation, context, pilot) from None
        finally:
            _write(
                generation, seeds, context.folder
            )  # stopped too: it can be looked at, and a resumed run writes it anew
    if not generation.examples:
        raise UserError(
            f"generate: {note}",
            f"read rejected.jsonl for the reasons; {may_do_better(config)}",
        )
    if note:
        context.progress.say(
            f"{note}; these rows are used. Other seeds, a higher temperature or a higher likeness bring more"
        )
    if thoughts := generation.asked.thoughts:
        context.progress.say(
            f"{thoughts:,} of {generation.asked.requests:,} replies held their thinking in the text: it was left out, nothing in "
            "it was read; it was billed, so turn it off where the model can (extra_body: {reasoning_effort: none})"
        )
    if generation.does_without or generation.asked.otherwise:
        context.progress.say(f"{_replayed(generation)}; they were judged again")
    return Outcome(_summary(generation, len(seeds), note, context.tables["teacher"]))


def _may_send(context: StageContext) -> bool:
    """A run that only judges otherwise what was bought before buys nothing to fill up, unless it was told to."""
    if context.spend is not None or context.fresh:
        return context.spend is not False
    return context.tables["teacher"].priced().free or not changed_filter(
        context.before, context.folder
    )


@contextlib.asynccontextmanager
async def _teacher(context: StageContext, sends: bool) -> AsyncIterator[Teacher]:
    """The recipe's teacher; where nothing may be sent, only what it said before: no key, no server, no network."""
    table: TeacherTable = context.tables["teacher"]
    if not sends:
        yield StoredTeacher(table.identity(), table.takes, context.journal)
        return
    async with connect(table, **context.asking("generate", "server.log")) as teacher:
        yield teacher


def _stopped_short(generation: Generation, context: StageContext, pilot: Pilot) -> UserError:
    """What the stored replies gave, and what the rest would cost."""
    have, wanted, cost = (
        len(generation.examples),
        generation.limits.count,
        pilot.rest(generation.seen),
    )
    told = f"{have:,} of {wanted:,} rows come from stored replies"
    if generation.asked.replayed:
        told += f" ({_replayed(generation)})"
    if cost.p90:
        told += (
            f"; the rest would cost about {shown(round(cost.p50))} ({shown(round(cost.p10))} to {shown(round(cost.p90))} "
            "in 8 of 10 cases)"
        )
    else:
        told += "; the rest would cost nothing but time"
    how = "without --no-spend" if context.spend is False else "with --spend"
    less = f", or set generate.count={have} to take these" if have > generation.extended else ""
    return UserError(
        f"generate: {told}; nothing was sent", f"run it {how} to ask for the rest{less}"
    )


def may_do_better(config: GenerateConfig) -> str:
    if config.prompt is None:
        return "another teacher or style may do better"
    return f"a reply is read as style {config.style} reads it: look whether {config.prompt.name} asks for that form, or leave generate.prompt out"


def _replayed(generation: Generation) -> str:
    asked = generation.asked
    otherwise = (
        f", {asked.otherwise:,} of them to prompts that would be others today"
        if asked.otherwise
        else ""
    )
    without = f", {asked.unasked:,} answers are missing" if asked.unasked else ""
    return f"{asked.replayed:,} replies of {generation.earlier.of}{otherwise}{without}"


def _pilot(config: GenerateConfig, context: StageContext, generation: Generation) -> Pilot:
    teacher: TeacherTable = context.tables["teacher"]
    style, known, budget = generation.style, len(generation.pool), context.tables.get("budget")
    order = order_of(
        generation.seating, teacher, teacher.priced(), known, generation.limits, generation.extended
    )
    before = past_of(config, teacher, context.seed, context.folder.parent, context.journal.path)
    return Pilot(
        order,
        imagine(prior_of(style, teacher), order),
        before.others,
        config.pilot,
        context.journal,
        context.caps,
        context.recipe,
        context.run,
        go_on=bool(budget and budget.go_on),
    )


async def _until_enough(generation: Generation, context: StageContext, pilot: Pilot | None) -> str:
    """Asks round after round; answers with the reason where it ends too early, else with ""."""
    count, have = generation.limits.count, len(generation.examples)
    context.progress.start(count, "accepted rows", done=have)
    generation.answered = lambda done, of: context.progress.at(have, f"reply {done} of {of}")
    while have < count:
        if why := generation.exhausted():
            return why
        context.stop_here()
        began, stored = time.monotonic(), generation.asked.from_store
        await generation.round()
        have = len(generation.examples)
        if generation.asked.from_store == stored:
            last = generation.seen[-1]
            generation.seen[-1] = replace(
                last, timed=last.requests, seconds=time.monotonic() - began
            )
        _append_round(generation, context.folder)
        if generation.asked.from_store == generation.asked.requests:
            context.progress.start(
                count, "accepted rows", done=have
            )  # what was stored says nothing about the rate
        if have < count and pilot:
            for sentence in pilot.renew(generation.seen):
                context.progress.say(sentence)
        context.progress.at(
            have, f"{generation.asked.requests} requests {pilot.note if pilot else ''}".rstrip()
        )
    return ""


def _write(generation: Generation, seeds: tuple[Seed, ...], folder: Path) -> None:
    write_jsonl(folder / "examples.jsonl", (example.to_row() for example in generation.examples))
    write_jsonl(folder / "rejected.jsonl", (rejected.to_row() for rejected in generation.rejected))
    write_jsonl(folder / SEATS, generation.seats)
    write_jsonl(folder / "seeds.jsonl", (seed.example.to_row() for seed in seeds))
    last = {seat["round"]: seat["keys"][-1] for seat in generation.seats}
    write_jsonl(
        folder / ROUNDS,
        (one.to_row() | {"key": last[number]} for number, one in enumerate(generation.seen)),
    )


def _append_round(generation: Generation, folder: Path) -> None:
    """At once, so that a plan after a kill knows what is stored, and a run with another filter whose it was."""
    round_ = len(generation.seen) - 1
    seats = generation.seats[-generation.rounds[-1][0] :]
    rows = {ROUNDS: [generation.seen[-1].to_row() | {"key": seats[-1]["keys"][-1]}], SEATS: seats}
    for name, lines in rows.items():
        with (folder / name).open("a" if round_ else "w", encoding="utf-8") as stream:
            stream.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _summary(
    generation: Generation, seeds: int, note: str, teacher: TeacherTable
) -> dict[str, Any]:
    asked, accepted = generation.asked, len(generation.examples) - generation.extended
    summary = {
        "requests": asked.requests,
        "from_store": asked.from_store,
        "rounds": len(generation.rounds),
        "pieces": accepted + len(generation.rejected),
        "accepted": accepted,
        "extended": generation.extended,
        "rejected": dict(Counter(rejected.rule for rejected in generation.rejected).most_common()),
        "tokens_in": asked.tokens_in,
        "tokens_out": asked.tokens_out,
        "style": generation.style.name,
        "seeds": seeds,
        "models": sorted(asked.models),
        "terms": teacher.terms or terms_of(teacher.called),
        "note": note,
        "timed": {
            "requests": sum(one.timed for one in generation.seen),
            "lanes": teacher.concurrency,
            "seconds": round(sum(one.seconds for one in generation.seen), 3),
        },
    }
    if asked.thoughts:
        summary["thoughts"] = asked.thoughts
    if generation.earlier.of:
        summary["replay"] = {
            "of": generation.earlier.of,
            "replies": asked.replayed,
            "otherwise": asked.otherwise,
            "not_asked": asked.unasked,
        }
    return summary
