"""Asks the judge: about each pair in both orders, or about each answer alone; every reply is stored and paid for once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judge_requests import (
    Read,
    grade_request,
    pair_request,
    read_choice,
    read_judged_grade,
)
from alpaca_pipe.evaluate.judge.own_question import OwnQuestion
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.rounds import at_once, together

_TRIED = 16  # in the first round: where none of their replies can be read, nothing more is paid for
Place = Literal[
    "first", "second", "tuned", "other"
]  # where the tuned answer stood, or whose was graded


@dataclass(frozen=True)
class AnswerPair:
    """Two answers to one turn of a prompt, with what was said before."""

    prompt: str  # its id
    turn: int
    category: str
    asked: tuple[str, ...]
    tuned: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Word for word: nobody need be asked."""
        return self.tuned == self.other


@dataclass(frozen=True)
class Opinion:
    """Of one request. value: what was read, None where nothing could be."""

    pair: AnswerPair
    place: Place
    value: Any
    words: str
    source: str  # request key

    def to_row(self) -> dict[str, Any]:
        return {
            "id": self.pair.prompt,
            "turn": self.pair.turn,
            "category": self.pair.category,
            "tuned": self.place,
            "said": self.value,
            "reason": self.words,
            "source": self.source,
        }


def _asked(
    pairs: Sequence[AnswerPair], how: Judging, takes: frozenset[str]
) -> Iterator[tuple[AnswerPair, Place, Request]]:
    own = OwnQuestion(how.question, how.mode) if how.question else None
    for pair in pairs:
        if how.mode == "grades":
            yield pair, "tuned", grade_request(how, pair.asked, pair.tuned, takes, own)
            yield pair, "other", grade_request(how, pair.asked, pair.other, takes, own)
        elif not pair.same:
            yield pair, "first", pair_request(how, pair.asked, pair.tuned, pair.other, takes, own)
            yield pair, "second", pair_request(how, pair.asked, pair.other, pair.tuned, takes, own)


async def judge_all(
    pairs: Sequence[AnswerPair],
    teacher: Teacher,
    how: Judging,
    tick: Callable[[int], None] = lambda done: None,
) -> list[Opinion]:
    """In the order of the pairs. Raises UserError where nothing of the first round can be read, and what `teacher.ask`
    raises; every reply that came until then is stored, and the next run pays for none again."""
    read = read_choice if how.mode == "pairs" else read_judged_grade
    asking, done, size = _asked(pairs, how, teacher.takes), list[Opinion](), _TRIED
    while part := list(islice(asking, size)):
        replies = await together(
            [teacher.ask(request) for _, _, request in part],
            lambda heard: tick(len(done) + heard),
        )
        for (pair, place, _), reply in zip(part, replies, strict=True):
            found: Read = read(reply)
            done.append(Opinion(pair, place, found.value, found.words, reply.key))
        if len(done) == _TRIED and all(one.value is None for one in done):
            raise UserError(
                f"evaluate.judge: none of the first {_TRIED} judgements can be read: {done[0].words}",
                "another judge may do better; a model that thinks needs more evaluate.judge.max_tokens",
            )
        size = at_once(how.teacher)
    return done
