"""What a seat is given, and tasks that take several requests: with a style made for it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.loop import Generation
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection, Unread
from alpaca_pipe.generate.prompts.sampling import Seating, Turns
from alpaca_pipe.generate.seeds.seeds import Seed
from alpaca_pipe.generate.sources.ground import Ground
from alpaca_pipe.generate.stop_rules import Limits
from alpaca_pipe.generate.styles.base import Plain, Seat
from tests.waiting import turns

SEEDS = [
    Seed(Example.of(f"Name a {word} that is known.", "", word, Origin("seed")), word, False)
    for word in ("river", "tower", "poem", "soup", "king", "song", "game", "town")
]
ROW = Example.of("Add two numbers.", "1 and 2", "3", Origin("imported", "mine.jsonl#1"))
GROUNDS = [
    Ground("about rivers", "a.md#0-12", {"file": "a.md", "start": 0, "end": 12}),
    Ground("about towers", "a.md#14-26", {"file": "a.md", "start": 14, "end": 26}),
    Ground(ROW.instruction, ROW.id, {}, ROW),
]
WORDS = [f"{a}{b}" for a in "rvtcbhmnp" for b in ("iver", "alin", "exor", "omet", "ukery", "ange")]


@dataclass(frozen=True)
class Threefold(Plain):
    """Three instructions a reply; of each the kind, then its instances, one or two."""

    name: ClassVar[str] = "threefold"
    follows: ClassVar[int] = 2
    grounded: ClassVar[bool] = True
    machine: ClassVar[int] = 2

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Threefold:
        return cls()

    def tasks(self, shown: int) -> int:
        return 3

    def request_for(self, seat: Seat) -> Request:
        assert seat.ground
        shown = [row.instruction for row in (*(seed.example for seed in seat.shown), *seat.machine)]
        return _request(
            f"instructions {seat.ground.text} {shown} {random.Random(seat.draw).random()}"
        )

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        return [Draft(line) for line in reply.text.splitlines()]

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        return Rejection("empty", "it is empty") if draft.output == "" else None

    def follow_up(self, seat: Seat, draft: Draft) -> Request | None:
        if "kind" not in draft.details:
            return _request(f"kind of {draft.instruction}")
        return _request(f"instances of {draft.instruction}") if draft.output is None else None

    def parse_follow_up(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        if "kind" not in draft.details:
            return [replace(draft, details={"kind": reply.text})]
        return [
            replace(draft, input=part, output=part)
            if part != "?"
            else Unread(part, "unclear", "it is unclear")
            for part in reply.text.split("|")
        ]


def _request(text: str) -> Request:
    return Request((PromptMessage("user", text),), {"max_tokens": 10})


class Script:
    takes = frozenset({"max_tokens"})

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ask(self, request: Request) -> Completion:
        text = request.messages[0].content
        self.asked.append(text)
        chance = random.Random(digest_of(request.asked()))
        await turns(int(chance.random() * 20))
        if text.startswith("instructions"):
            said = "\n".join(" ".join(chance.sample(WORDS, 4)) for _ in range(3))
        elif text.startswith("kind"):
            said = chance.choice(["classification", "other"])
        else:
            said = chance.choice(["one", "one|two", "", "?|two"])
        return Completion(said, "stop", Usage(1, visible_out=1), request.key({"script": 1}))


def generation(
    script: Script, count: int = 40, times: int | None = None, max_requests: int | None = None
) -> Generation:
    seating = Seating(Threefold(), 7, SEEDS, 4, 5, GROUNDS, times)
    return Generation(
        seating,
        script,
        Pool((seed.example for seed in SEEDS), Decimal("0.7"), "unicode"),
        Limits(count, max_requests),
    )


def finished(made: Generation) -> Generation:
    async def work() -> None:
        while len(made.examples) < made.limits.count and not made.exhausted():
            await made.round()

    asyncio.run(work())
    return made


def test_three_steps_of_each_task_and_several_rows_of_one_instruction() -> None:
    script = Script()
    made = finished(generation(script))
    seats = {f"{seat['round']}/{seat['seat']}": seat for seat in made.seats}
    assert made.asked.requests == len(script.asked) == sum(len(seat["keys"]) for seat in made.seats)
    assert len(made.examples) + len(made.rejected) == sum(seat["pieces"] for seat in made.seats)
    assert {rejected.rule for rejected in made.rejected} == {"empty", "unclear"}
    seconds = 0
    for row in made.examples:
        details = row.origin.details
        seat = seats["/".join(details["place"].split("/")[:2])]
        item, _, instance = details["place"].split("/")[2].partition("+")
        steps = dict(zip(seat["steps"], seat["keys"], strict=True))
        assert [*details["asked_before"], row.origin.source] == [
            steps[""],
            steps[f"{item}.1"],
            steps[f"{item}.2"],
        ]
        assert details["kind"] in ("classification", "other")
        seconds += bool(instance)
    assert 0 < seconds < len(made.examples)


def test_grounds_come_in_turn_and_are_told() -> None:
    made = finished(generation(Script()))
    used = Counter(seat["ground"] for seat in made.seats)
    assert (
        set(used) == {ground.source for ground in GROUNDS}
        and max(used.values()) - min(used.values()) <= 1
    )
    firsts = [seat["ground"] for seat in made.seats]
    assert [sorted(firsts[at : at + 3]) for at in (0, 3)] == [sorted(used)] * 2
    by_row = [row for row in made.examples if ROW.id in row.origin.parents]
    assert by_row and all(row.origin.details["ground"] == ROW.id for row in by_row)
    assert {
        (row.origin.details["file"], row.origin.details["start"])
        for row in made.examples
        if row not in by_row
    } == {("a.md", 0), ("a.md", 14)}


def test_each_ground_so_many_times_and_then_it_ends() -> None:
    made = finished(generation(Script(), count=1000, times=2))
    assert Counter(seat["ground"] for seat in made.seats) == {
        ground.source: 2 for ground in GROUNDS
    }
    assert [seats for seats, _ in made.rounds] == [4, 2]
    assert made.exhausted().endswith(
        "each of the 3 passages or rows was used as often as generate.times allows"
    )


def test_rows_that_came_of_rows_take_their_turn() -> None:
    turns = Turns(GROUNDS, 7, 1, 3)
    assert {ground.source for ground in turns.take(2)} < {ground.source for ground in GROUNDS}
    assert turns.left == 1
    made = [
        replace(ROW, id=f"row {number}", origin=Origin("generated", details={"generation": number}))
        for number in (1, 2, 3)
    ]
    turns.add(made)
    assert [
        turns.left,
        turns.take(1)[0] in GROUNDS,
        [ground.source for ground in turns.take(2)],
    ] == [3, True, ["row 1", "row 2"]]
    assert turns.left == 0
    endless = Turns(GROUNDS, 7, None, 3)
    endless.add(made)
    assert endless.left is None
    assert [
        max(Counter(ground.source for ground in endless.take(5)).values()) for _ in range(3)
    ] == [1, 1, 1]


def test_rows_of_the_rounds_before_are_shown_beside_seeds() -> None:
    made = finished(generation(Script()))
    before = 0
    ids = [row.id for row in made.examples]
    for number, (_, new) in enumerate(made.rounds):
        for seat in [seat for seat in made.seats if seat["round"] == number]:
            machine = seat.get("machine", [])
            assert len(machine) == min(2, before) and len(seat["shown"]) == 5 - len(machine)
            assert set(machine) <= set(ids[:before])
        before += new
    last = made.examples[-1]
    assert len(last.origin.parents) >= 5


@pytest.mark.parametrize("most", [6, 7, 20, 28])
def test_the_limit_of_requests_counts_all_that_a_seat_may_take(most: int) -> None:
    script = Script()
    made = finished(generation(script, count=1000, max_requests=most))
    assert len(script.asked) <= most
    assert bool(made.rounds) == (most >= 7)


def test_the_same_seat_is_drawn_whatever_came_before() -> None:
    seating = generation(Script()).seating
    assert seating.round(3, 12, 2) == seating.round(3, 12, 4)[:2] != seating.round(4, 12, 2)
    assert len({seat.draw for seat in seating.round(0, 0, 4)}) == 4


def test_conversations_are_no_grounds() -> None:
    """A style reworks one question: the others of a conversation would vanish without a word."""
    from alpaca_pipe.core.example import Message
    from alpaca_pipe.generate.sources.context import of_rows

    turns = [Message("assistant" if n % 2 else "user", f"text {n}") for n in range(4)]
    rows = [Example.of_messages(turns, Origin("imported", "chats.jsonl#3"))]
    with pytest.raises(
        UserError, match=r"1 of 1 rows are conversations, the first e1-\w+ from chats.jsonl#3"
    ):
        of_rows(rows)
