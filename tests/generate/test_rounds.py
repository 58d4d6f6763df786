"""The same replies make the same dataset: at any concurrency, after a stop, in any order of arrival."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, Finish, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import digest_of, shipped
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.loop import Generation
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.prompts.sampling import Seating
from alpaca_pipe.generate.seeds.seeds import Seed, read_seeds
from alpaca_pipe.generate.stage import STAGE
from alpaca_pipe.generate.stop_rules import Limits
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.teachers.config import TeacherTable
from tests.waiting import turns

SEEDS = read_seeds(shipped("seed_tasks") / "short.jsonl")
TEACHER = TeacherTable.model_validate({"kind": "rehearsed", "model": "scripted", "price": "free"})
WORDS = [
    f"{a}{b}"
    for a in ("ri", "vo", "ta", "co", "ba", "hi")
    for b in ("ver", "lin", "xor", "met", "kery", "nge")
]
COMMON = "What is a ver of metkery lin?"


@dataclass
class Script:
    """A teacher that answers out of order: its replies depend on the question alone, its delays on chance."""

    concurrency: int = 8
    takes: frozenset[str] = frozenset({"max_tokens", "temperature", "seed", "response_format"})
    dull: bool = False
    cut: str = ""  # the question whose answer is always cut off
    stop_after: int | None = None
    stored: dict[str, Completion] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.concurrency)
        self.turns = asyncio.Semaphore(self.concurrency)

    async def ask(self, request: Request) -> Completion:
        key = request.key({"script": 1})
        if key in self.stored:
            return replace(self.stored[key], from_store=True)
        async with self.turns:
            if self.stop_after is not None and len(self.sent) >= self.stop_after:
                raise Stopped
            self.sent[key] += 1
            cut = request.messages[-1].content == self.cut or int(digest_of(key)[:2], 16) < 16
            finish: Finish = "length" if cut else "stop"
            self.stored[key] = Completion(
                self._said(request), finish, Usage(10, visible_out=5), key
            )
            await turns(self.chance.randrange(20))  # in whatever order they end
            return self.stored[key]

    def _said(self, request: Request) -> str:
        chance = random.Random("dull" if self.dull else digest_of(request.asked()))

        def instruction() -> str:
            return " ".join(chance.sample(WORDS, 5)) if chance.random() > 0.1 else COMMON

        last = request.messages[-1].content
        if "response_format" in request.decoding:
            rows = [
                {
                    "instruction": instruction(),
                    "input": "",
                    "output": chance.choice(["", "Yes", "No, not so."]),
                }
                for _ in range(4)
            ]
            return json.dumps({"tasks": rows})
        return (
            instruction()
            if last.startswith("Write a task about")
            else f"It is {chance.random():.3f}."
        )


def generation(
    script: Script,
    style: str = "alpaca",
    count: int = 60,
    seeds: Sequence[Seed] = SEEDS,
    **limits: Any,
) -> Generation:
    table = GenerateConfig.model_validate(
        {"style": style, "count": count, "max_tokens": 200, "round_size": 6} | limits
    )
    how = style_of(table, TEACHER, script.takes)
    seating = Seating(how, 7, how.usable(seeds), table.round_size, table.shown)
    return Generation(
        seating,
        script,
        Pool((seed.example for seed in seeds), Decimal("0.7"), "unicode", how.ties),
        Limits(table.count, table.max_requests, table.max_candidates),
    )


async def finish(made: Generation) -> Generation:
    while len(made.examples) < made.limits.count and not made.exhausted():
        await made.round()
    return made


def run(script: Script, style: str = "alpaca", **more: Any) -> Generation:
    return asyncio.run(finish(generation(script, style, **more)))


def dataset(made: Generation) -> str:
    rows = (
        [example.to_row() for example in made.examples],
        [rejected.to_row() for rejected in made.rejected],
    )
    return json.dumps([*rows, made.seats])


@pytest.mark.parametrize("style", ["alpaca", "two-step"])
def test_the_same_bytes_at_any_concurrency(style: str) -> None:
    first = run(Script(1), style)
    assert len(first.examples) >= 60
    for concurrency in (4, 32):
        assert dataset(run(Script(concurrency), style)) == dataset(first)


@pytest.mark.parametrize("style", ["alpaca", "two-step"])
def test_stopped_and_resumed_nothing_is_asked_twice(style: str) -> None:
    whole = Script()
    expected = dataset(run(whole, style))
    part = Script()
    for stop_after in (1, 5, 17, 23):
        part.stop_after = stop_after
        with pytest.raises(Stopped):
            run(part, style)
    part.stop_after = None
    assert dataset(run(part, style)) == expected
    assert part.sent == whole.sent


@pytest.mark.parametrize("style", ["alpaca", "two-step"])
def test_each_piece_has_one_verdict_and_each_seat_its_requests(style: str) -> None:
    made = run(Script(), style)
    assert len(made.examples) + len(made.rejected) == sum(seat["pieces"] for seat in made.seats)
    assert len(made.examples) == sum(seat["accepted"] for seat in made.seats)
    assert sum(len(seat["keys"]) for seat in made.seats) == made.asked.requests
    keys = {f"{seat['round']}/{seat['seat']}": seat for seat in made.seats}
    for example in made.examples:
        seat = keys[example.origin.details["place"].rsplit("/", 1)[0]]
        assert example.origin.source in seat["keys"]
        assert list(example.origin.parents) == seat["shown"]
    assert {rejected.rule for rejected in made.rejected} >= (
        {"likeness", "empty_output"} if style == "alpaca" else {"likeness", "cut_off"}
    )


@pytest.mark.parametrize("style", ["alpaca", "two-step"])
def test_a_near_duplicate_names_the_row_that_it_resembles(style: str) -> None:
    """Also one whose draft was new and which was dropped at its answer later on."""
    made = run(Script(cut=COMMON), style)
    rows = [
        *made.examples,
        *(rejected.what for rejected in made.rejected if isinstance(rejected.what, Example)),
    ]
    known = {seed.example.id for seed in SEEDS} | {row.id for row in rows}
    assert len({row.id for row in rows}) == len(rows)
    near = [rejected for rejected in made.rejected if rejected.rule == "likeness"]
    assert near
    assert {rejected.nearest for rejected in near} <= known
    dropped = {rejected.what.id for rejected in made.rejected if isinstance(rejected.what, Example)}
    assert style == "alpaca" or dropped & {rejected.nearest for rejected in near}
    near_by = [
        example.origin.details for example in made.examples if "nearest" in example.origin.details
    ]
    assert {details["nearest"] for details in near_by} <= known
    assert 0 < max(details["score"] for details in near_by) <= 0.7


def test_two_step_asks_no_answer_for_what_is_known_already() -> None:
    made = run(Script(), "two-step")
    asked = sum(len(seat["keys"]) - 1 for seat in made.seats)
    dropped = Counter(rejected.rule for rejected in made.rejected if isinstance(rejected.what, str))
    unfinished = sum(seat["finish"][0] == "length" for seat in made.seats)
    assert asked == len(made.seats) - dropped["likeness"] - unfinished
    assert dropped["likeness"] > 0


def test_two_step_shows_one_round_the_same_seeds() -> None:
    """A server keeps the beginning of a prompt that it has read before: 18 % less work for llama.cpp."""
    made = run(Script(), "two-step")
    shown = {seat["round"]: set[tuple[str, ...]]() for seat in made.seats}
    for seat in made.seats:
        shown[seat["round"]].add(tuple(seat["shown"]))
    assert all(len(sets) == 1 for sets in shown.values())
    assert len(set.union(*shown.values())) == len(shown)


def test_the_last_round_is_kept_whole() -> None:
    made = run(Script(), count=1)
    assert len(made.rounds) == 1
    assert len(made.examples) == made.rounds[0][1] > 1


def test_another_seed_asks_other_questions() -> None:
    one, other = generation(Script()), generation(Script())
    other.seating = replace(other.seating, seed=8)
    asyncio.run(one.round())
    asyncio.run(other.round())
    assert not {key for seat in one.seats for key in seat["keys"]} & {
        key for seat in other.seats for key in seat["keys"]
    }


def test_a_dull_teacher_stalls_with_a_reason() -> None:
    made = run(Script(dull=True, takes=frozenset({"response_format"})))
    assert [new for _, new in made.rounds[1:]] == [
        0
    ] * 5  # the first one brought rows; five without any are a stall
    assert (
        made.exhausted()
        == f"stopped at {len(made.examples)} of 60 rows: the last 30 prompts brought no new rows; "
        "90 of the 120 tasks that came were near a known one: the teacher has few new ideas left here"
    )


@pytest.mark.parametrize("style, most", [("alpaca", 15), ("two-step", 15), ("two-step", 1)])
def test_the_limit_of_requests_is_never_passed(style: str, most: int) -> None:
    script = Script()
    made = run(script, style, count=1000, max_requests=most)
    assert len(script.sent) <= most
    assert made.exhausted().endswith(f"max_requests ({most}) is reached")


def test_the_limit_of_candidates_ends_it_with_the_round() -> None:
    made = run(Script(), "alpaca", count=1000, max_candidates=50)  # 4 of 6 seats: 24 a round
    assert sum(seat["pieces"] for seat in made.seats) == 72
    assert made.exhausted().endswith("max_candidates (50) is reached, 72 were read")


def test_the_same_question_again_is_another_draw() -> None:
    script = Script(takes=frozenset({"response_format"}))
    made = generation(script, round_size=2)

    async def twice() -> list[Completion]:
        request = Request((PromptMessage("user", "Write a task about it."),), {"max_tokens": 1})
        told = await made._ask([("0/0", request), ("0/1", request)]) + await made._ask(
            [("0/2", request)]
        )
        return [one.reply for one in told if one]

    replies = asyncio.run(twice())
    assert len({reply.key for reply in replies}) == 3
    assert not any(reply.from_store for reply in replies)


OWN = [
    Seed(
        Example.of(
            f"Name a {word} that is known for its {other}.", "", f"A {other} {word}", Origin("seed")
        ),
        word,
        False,
    )
    for word, other in (("river", "length"), ("tower", "age"), ("poem", "wit"), ("soup", "heat"))
]


@pytest.mark.parametrize(
    "style, golden", [("alpaca", "3837ee052fd65770"), ("two-step", "abab3f5256582b2b")]
)
def test_golden(style: str, golden: str) -> None:
    """Prompts, draws, verdicts and rows are what version 3 of the stage makes: bump STAGE.version, or mend what changed."""
    made = generation(Script(), style, count=20, seeds=OWN)
    asyncio.run(finish(made))
    assert (STAGE.version, digest_of(dataset(made))[:16]) == (3, golden)
