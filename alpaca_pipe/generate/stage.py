"""[generate] asks a teacher for examples like the seeds, until enough are accepted."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.core.table import Exact, Knob
from alpaca_pipe.generate.expected import expected
from alpaca_pipe.generate.forecast import imagine
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.order import order_of, prior_of
from alpaca_pipe.generate.past import ROUNDS, Past, past
from alpaca_pipe.generate.pilot import Pilot
from alpaca_pipe.generate.rounds import Generation, Limits
from alpaca_pipe.generate.seeds import Seed, SeedFile, read_seeds
from alpaca_pipe.generate.style import Style
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.recipe.stage import Bench, Estimate, Known, Outcome, Stage, StageConfig
from alpaca_pipe.similarity.words import Words
from alpaca_pipe.teachers.opening import connect
from alpaca_pipe.teachers.table import TeacherTable


class Config(StageConfig):
    """What is asked, and when it is enough."""

    style: Literal["alpaca", "two-step"] = Field("alpaca", description="alpaca: several tasks a request, as JSON, from a "
                                                 "chat model; two-step: an instruction, then its answer, for small models")
    seeds: SeedFile = Field("alpaca", validate_default=True, description="JSONL of seed tasks, or the name of shipped ones")
    count: int = Field(ge=1, description="rows to accept, at least: the last round is kept whole")
    round_size: int = Field(16, ge=1, le=50_000, description="prompts that are asked before their replies are read; bounds "
                            "how many can be in flight")
    shown: int = Field(3, ge=1, description="seed tasks in each prompt")
    tasks: int = Field(4, ge=1, le=50, description="style alpaca: tasks asked for in one request")
    max_tokens: int = Field(1024, ge=16, description="of a reply; in style two-step, of an answer")
    temperature: float | None = Field(1.0, ge=0, le=2, description="null: the teacher's own")
    likeness: Exact = Field(Decimal("0.7"), gt=0, le=1, description="ROUGE-L F with a known instruction above which a new "
                            "one is dropped (0.7: Self-Instruct, sec. 2)")
    words: Words = Field("unicode", description="what likeness compares: words of any script, or rouge-score's a-z and 0-9")
    max_requests: int | None = Field(None, ge=1, description="stop there with the rows that were accepted")
    pilot: Annotated[int, Knob()] = Field(20, ge=1, description="prompts after which the forecast is made anew from the "
                                          "replies; a middle forecast past the budget then stops the run")

    @model_validator(mode="after")
    def _tasks_belong_to_alpaca(self) -> Self:
        if self.style != "alpaca" and "tasks" in self.model_fields_set:
            raise ValueError(f"style {self.style} asks for one task at a time - take 'tasks' out, or use style: alpaca")
        return self

    def rehearsed(self) -> Self:
        return self.model_copy(update={"count": min(self.count, 24), "round_size": min(self.round_size, 8)})


def estimate(config: Config, tables: Mapping[str, Any], known: Known) -> Estimate:
    """Reads the seeds too, so that their errors are told before anything is sent."""
    teacher: TeacherTable = tables["teacher"]
    if teacher.speaks != "chat":
        raise UserError(f"generate: style {config.style} asks in chat, and this teacher only completes texts",
                        "use kind: openai_chat, or dialect: chat")
    style, shown = _style(config, _STRUCTURED), _shown_seeds(config, _style(config, frozenset()))
    order = order_of(style, teacher, teacher.priced(), shown, len(read_seeds(config.seeds)), tables["seed"], _limits(config))
    before = _past(config, teacher, tables["seed"], known.workspace / "store", known.workspace / "ledger.sqlite") \
        if known.workspace else Past()
    forecast, says, rests_on = expected(order, prior_of(style, teacher), before)
    minutes, requests, tokens_in, tokens_out, dollars = map(
        forecast.range, ("minutes", "requests", "tokens_in", "tokens_out", "dollars"))
    return Estimate(minutes, f"style {style.name}, {config.shown} of {len(shown)} seeds in each prompt, {says}", rests_on,
                    requests, tokens_in, tokens_out, api=dollars)


_STRUCTURED = frozenset({"response_format"})  # what a style adds to a prompt where it can


def run(config: Config, bench: Bench) -> Outcome:
    """Writes examples, rejected, seats and seeds. Summary: pieces = accepted + the sum of rejected."""
    return asyncio.run(_run(config, bench))


async def _run(config: Config, bench: Bench) -> Outcome:
    seeds = read_seeds(config.seeds)
    pool = Pool((seed.example for seed in seeds), config.likeness, config.words)
    async with connect(bench.tables["teacher"], journal=bench.journal, caps=bench.caps,
                       recipe=bench.recipe, run=bench.run, stage="generate", log=bench.scratch / "server.log",
                       stopping=bench.stopping, say=bench.progress.say) as teacher:
        style = _style(config, teacher.takes)
        generation = Generation(style, teacher, _shown_seeds(config, style), pool, bench.seed, _limits(config))
        try:
            note = await _until_enough(generation, bench, _pilot(config, bench, generation))
        finally:
            _write(generation, seeds, bench.folder)  # stopped too: it can be looked at, and a resumed run writes it anew
    if not generation.examples:
        raise UserError(f"generate: {note}", "read rejected.jsonl for the reasons; another teacher or style may do better")
    if note:
        bench.progress.say(f"{note}; these rows are used. Other seeds, a higher temperature or a higher likeness bring more")
    return Outcome(_summary(generation, len(seeds), note, bench.tables["teacher"].concurrency))


def _pilot(config: Config, bench: Bench, generation: Generation) -> Pilot:
    teacher: TeacherTable = bench.tables["teacher"]
    style, known, budget = generation.style, len(generation.pool), bench.tables.get("budget")
    order = order_of(style, teacher, teacher.priced(), generation.seeds, known, bench.seed, generation.limits)
    before = _past(config, teacher, bench.seed, bench.folder.parent, bench.journal.path)
    return Pilot(order, imagine(prior_of(style, teacher), order), before.others, config.pilot, bench.journal, bench.caps,
                 bench.recipe, bench.run, go_on=bool(budget and budget.go_on))


def _past(config: Config, teacher: TeacherTable, seed: int, store: Path, ledger: Path) -> Past:
    return past(store, ledger, STAGE.version, config.identity(), teacher.identity(), seed, teacher.concurrency)


async def _until_enough(generation: Generation, bench: Bench, pilot: Pilot) -> str:
    """Asks round after round; answers with the reason where it ends too early, else with ""."""
    count, have = generation.limits.count, 0
    bench.progress.start(count, "accepted rows")
    generation.answered = lambda done, of: bench.progress.at(have, f"reply {done} of {of}")
    while have < count:
        if why := generation.exhausted():
            return why
        bench.stop_here()
        began, stored = time.monotonic(), generation.asked.from_store
        await generation.round()
        have = len(generation.examples)
        if generation.asked.from_store == stored:
            last = generation.seen[-1]
            generation.seen[-1] = replace(last, timed=last.requests, seconds=time.monotonic() - began)
        _append_round(generation, bench.folder)
        if generation.asked.from_store == generation.asked.requests:
            bench.progress.start(count, "accepted rows", done=have)  # what was stored says nothing about the rate
        if have < count:
            for sentence in pilot.renew(generation.seen):
                bench.progress.say(sentence)
        bench.progress.at(have, f"{generation.asked.requests} requests {pilot.note}".rstrip())
    return ""


def _limits(config: Config) -> Limits:
    return Limits(config.count, config.round_size, config.shown, config.max_requests)


def _style(config: Config, takes: frozenset[str]) -> Style:
    return style_of(config.style, tasks=config.tasks, max_tokens=config.max_tokens, temperature=config.temperature,
                    takes=takes)


def _shown_seeds(config: Config, style: Style) -> list[Seed]:
    usable = style.usable(read_seeds(config.seeds))
    if len(usable) < config.shown:
        raise UserError(f"generate: {config.shown} seeds are to be shown, and {config.seeds.name} has {len(usable)} that "
                        f"style {style.name} can show{style.shows}",
                        "write more seeds, or lower generate.shown")
    return usable


def _write(generation: Generation, seeds: tuple[Seed, ...], folder: Path) -> None:
    write_jsonl(folder / "examples.jsonl", (example.to_row() for example in generation.examples))
    write_jsonl(folder / "rejected.jsonl", (rejected.to_row() for rejected in generation.rejected))
    write_jsonl(folder / "seats.jsonl", generation.seats)
    write_jsonl(folder / "seeds.jsonl", (seed.example.to_row() for seed in seeds))
    last = {seat["round"]: seat["keys"][-1] for seat in generation.seats}
    write_jsonl(folder / ROUNDS, (one.to_row() | {"key": last[number]} for number, one in enumerate(generation.seen)))


def _append_round(generation: Generation, folder: Path) -> None:
    """At once, so that a plan after a kill knows what is stored."""
    row = generation.seen[-1].to_row() | {"key": generation.seats[-1]["keys"][-1]}
    with (folder / ROUNDS).open("w" if len(generation.seen) == 1 else "a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def _summary(generation: Generation, seeds: int, note: str, lanes: int) -> dict[str, Any]:
    asked, accepted = generation.asked, len(generation.examples)
    return {"requests": asked.requests, "from_store": asked.from_store, "rounds": len(generation.rounds),
            "pieces": accepted + len(generation.rejected), "accepted": accepted,
            "rejected": dict(Counter(rejected.rule for rejected in generation.rejected).most_common()),
            "tokens_in": asked.tokens_in, "tokens_out": asked.tokens_out, "style": generation.style.name, "seeds": seeds,
            "models": sorted(asked.models), "note": note,
            "timed": {"requests": sum(one.timed for one in generation.seen), "lanes": lanes,
                      "seconds": round(sum(one.seconds for one in generation.seen), 3)}}


STAGE = Stage("generate", version=1, config=Config, uses=("teacher", "budget", "seed"), estimate=estimate, run=run)
