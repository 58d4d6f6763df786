"""[generate] asks a teacher for examples like the seeds, until enough are accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.table import Exact
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.reply import Draft
from alpaca_pipe.generate.rounds import Generation, Limits
from alpaca_pipe.generate.seeds import Seed, SeedFile, read_seeds
from alpaca_pipe.generate.style import Seat, Style
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.generate.topics import topics_from
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
    round_size: int = Field(16, ge=1, le=4096, description="prompts that are asked before their replies are read; bounds "
                            "how many can be in flight")
    shown: int = Field(3, ge=1, description="seed tasks in each prompt")
    tasks: int = Field(4, ge=1, le=50, description="style alpaca: tasks asked for in one request")
    max_tokens: int = Field(1024, ge=16, description="of a reply; in style two-step, of an answer")
    temperature: float | None = Field(1.0, ge=0, le=2, description="null: the teacher's own")
    likeness: Exact = Field(Decimal("0.7"), gt=0, le=1, description="ROUGE-L F with a known instruction above which a new "
                            "one is dropped (0.7: Self-Instruct, sec. 2)")
    words: Words = Field("unicode", description="what likeness compares: words of any script, or rouge-score's a-z and 0-9")
    max_requests: int | None = Field(None, ge=1, description="stop there with the rows that were accepted")

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
    style = _style(config, frozenset())
    seeds = _shown_seeds(config, style)
    seat = Seat(0, 0, tuple(seeds[:config.shown]), topics_from(0, 0, style.topics))
    rows_a_seat, tokens_out = _YIELD[style.name] * style.topics, _TOKENS_OUT[style.name] * style.topics
    seats = round(config.count / rows_a_seat) + config.round_size // 2
    if config.max_requests:
        seats = min(seats, config.max_requests // style.requests)
    prompts = [style.ask(seat)] + [style.ask_answer(seat, Draft("w" * 50)) for _ in range(style.requests - 1)]
    tokens_in = sum(len(message.content) // _LETTERS_A_TOKEN + _AROUND_MESSAGE for prompt in prompts
                    for message in prompt.messages)
    requests = seats * style.requests
    price = teacher.priced()
    says = (f"about {seats:,} prompts of style {style.name}, {config.shown} of {len(seeds)} seeds in each, until "
            f"{config.count:,} rows are accepted")
    money = seats * (price.worst(tokens_in, 0) + price.worst(0, tokens_out))
    return Estimate(Range.about(seats * _seconds_a_seat(teacher, style.requests, tokens_out) / 60, 2), says,
                    requests=Range.about(requests, 1.3), tokens_in=Range.about(seats * tokens_in, 1.5),
                    tokens_out=Range.about(seats * tokens_out, 1.5), api=Range.about(money, 1.6))


_LETTERS_A_TOKEN, _AROUND_MESSAGE = 4, 4  # of English: OpenAI's rules of thumb
_YIELD = {"alpaca": 0.85, "two-step": 0.87}  # rows accepted for each task asked: two-step measured on SmolLM2-135M
_TOKENS_OUT = {"alpaca": 90, "two-step": 45}  # for each task asked


def _seconds_a_seat(teacher: TeacherTable, requests: int, tokens_out: int) -> float:
    match teacher.kind:
        case "local_server":
            return tokens_out / 45  # tokens a second of SmolLM2-135M on 2 cores, four requests at once
        case "rehearsed":
            return requests * (0.005 + teacher.delay / teacher.concurrency)
        case _:
            return requests * (1 + tokens_out / 60) / teacher.concurrency  # 60 tokens/s and a second to begin


def run(config: Config, bench: Bench) -> Outcome:
    """Writes examples, rejected, seats and seeds. Summary: pieces = accepted + the sum of rejected."""
    return asyncio.run(_run(config, bench))


async def _run(config: Config, bench: Bench) -> Outcome:
    seeds = read_seeds(config.seeds)
    pool = Pool((seed.example for seed in seeds), config.likeness, config.words)
    async with connect(bench.tables["teacher"], journal=bench.journal, caps=bench.caps,
                       recipe=bench.recipe, run=bench.run, stage="generate", log=bench.scratch / "server.log",
                       stopping=bench.stopping) as teacher:
        style = _style(config, teacher.takes)
        limits = Limits(config.count, config.round_size, config.shown, config.max_requests)
        generation = Generation(style, teacher, _shown_seeds(config, style), pool, bench.seed, limits)
        try:
            note = await _until_enough(generation, bench)
        finally:
            _write(generation, seeds, bench.folder)  # stopped too: it can be looked at, and a resumed run writes it anew
    if not generation.examples:
        raise UserError(f"generate: {note}", "read rejected.jsonl for the reasons; another teacher or style may do better")
    if note:
        bench.progress.say(f"{note}; these rows are used. Other seeds, a higher temperature or a higher likeness bring more")
    return Outcome(_summary(generation, len(seeds), note))


async def _until_enough(generation: Generation, bench: Bench) -> str:
    """Asks round after round; answers with the reason where it ends too early, else with ""."""
    count, have = generation.limits.count, 0
    bench.progress.start(count, "accepted rows")
    generation.answered = lambda done, of: bench.progress.at(have, f"reply {done} of {of}")
    while have < count:
        if why := generation.exhausted():
            return why
        bench.stop_here()
        await generation.round()
        have = len(generation.examples)
        if generation.asked.from_store == generation.asked.requests:
            bench.progress.start(count, "accepted rows", done=have)  # what was stored says nothing about the rate
        bench.progress.at(have, f"{generation.asked.requests} requests")
    return ""


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


def _summary(generation: Generation, seeds: int, note: str) -> dict[str, Any]:
    asked, accepted = generation.asked, len(generation.examples)
    return {"requests": asked.requests, "from_store": asked.from_store, "rounds": len(generation.rounds),
            "pieces": accepted + len(generation.rejected), "accepted": accepted,
            "rejected": dict(Counter(rejected.rule for rejected in generation.rejected).most_common()),
            "tokens_in": asked.tokens_in, "tokens_out": asked.tokens_out, "style": generation.style.name, "seeds": seeds,
            "models": sorted(asked.models), "note": note}


STAGE = Stage("generate", version=1, config=Config, uses=("teacher", "budget", "seed"), estimate=estimate, run=run)
