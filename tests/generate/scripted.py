"""Generation on the scripted teacher's lines without a server: replies come in any order, at any concurrency."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alpaca_pipe.core.completion import Completion, Finish, Request, Usage
from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.core.files import digest_of, shipped
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.loop import Generation
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.prompts.sampling import Seating
from alpaca_pipe.generate.seeds.seeds import read_seeds
from alpaca_pipe.generate.sources.context import of_rows
from alpaca_pipe.generate.sources.ground import Ground
from alpaca_pipe.generate.stop_rules import Limits
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.generate.styles.base import Seat
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.scripted.scripted_replies import answer_to
from tests.waiting import turns

SEEDS = read_seeds(shipped("seed_tasks") / "short.jsonl")
VET = shipped("seed_tasks") / "vet"
LONG = (
    1_000_000 if "ALPACA_PIPE_EXAMPLES" in os.environ else 200_000
)  # characters of a reply that never ends
ROWS = of_rows(seed.example for seed in SEEDS)
TEACHER = TeacherTable.model_validate({"kind": "rehearsed", "model": "scripted", "price": "free"})
ALL = frozenset(
    {"max_tokens", "temperature", "top_p", "presence_penalty", "stop", "response_format"}
)


@dataclass
class Scripted:
    """Says what the scripted teacher says, or `says`, after a while that depends on chance; now and then it is cut off."""

    concurrency: int = 8
    says: Callable[[Request], str] = lambda request: answer_to(request.asked())
    takes: frozenset[str] = ALL
    stop_after: int | None = None
    stored: dict[str, Completion] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance, self.turns = (
            random.Random(self.concurrency),
            asyncio.Semaphore(self.concurrency),
        )

    async def ask(self, request: Request) -> Completion:
        key = request.key({"script": 1})
        if key in self.stored:
            return replace(self.stored[key], from_store=True)
        async with self.turns:
            if self.stop_after is not None and len(self.sent) >= self.stop_after:
                raise Stopped
            self.sent[key] += 1
            text, finish = self.says(request), "stop"
            if digest_of(key)[0] == "0":
                text, finish = text[: len(text) // 2], "length"
            self.stored[key] = reply(text, finish, key)  # type: ignore[arg-type]
            await turns(self.chance.randrange(20))  # in whatever order they end
            return self.stored[key]


def reply(text: str, finish: Finish = "stop", key: str = "k") -> Completion:
    return Completion(text, finish, Usage(10, visible_out=5), key)


def seat(ground: Ground | None = None, draw: int = 0, shown: int = 3) -> Seat:
    return Seat(0, 0, SEEDS[:shown], (), ground, draw=draw)


def generation(
    script: Scripted, style: str, grounds: Sequence[Ground] = (), **keys: Any
) -> Generation:
    if style == "documents":
        keys = {"documents": (VET,), **keys}
    table = GenerateConfig.model_validate({"style": style, "count": 30, "round_size": 6} | keys)
    how = style_of(table, TEACHER, script.takes)
    seating = Seating(
        how,
        7,
        how.usable(SEEDS) if how.seeded else [],
        table.round_size,
        table.shown,
        grounds,
        table.times,
    )
    known = (
        [
            *(seed.example for seed in SEEDS),
            *(ground.example for ground in grounds if ground.example),
        ]
        if how.novel
        else []
    )
    return Generation(
        seating,
        script,
        Pool(known, table.likeness, table.words, how.ties),
        Limits(table.count, table.max_requests),
    )


def run(script: Scripted, style: str, grounds: Sequence[Ground] = (), **keys: Any) -> Generation:
    made = generation(script, style, grounds, **keys)

    async def work() -> None:
        while len(made.examples) < made.limits.count and not made.exhausted():
            await made.round()

    asyncio.run(work())
    return made


def dataset(made: Generation) -> str:
    rows = (
        [example.to_row() for example in made.examples],
        [rejected.to_row() for rejected in made.rejected],
    )
    return json.dumps([*rows, made.seats])


def rules(made: Generation) -> Counter[str]:
    return Counter(rejected.rule for rejected in made.rejected)
