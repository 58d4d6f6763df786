"""What a style is: how the teacher is asked, and how its replies are read. One file each in styles/."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.generate.novelty import Ties, unsound
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection
from alpaca_pipe.generate.prior import Prior
from alpaca_pipe.generate.seeds.seeds import Seed
from alpaca_pipe.generate.sources.ground import Ground

if TYPE_CHECKING:
    from alpaca_pipe.generate.config import GenerateConfig
    from alpaca_pipe.teachers.config import TeacherTable

_WRITTEN = (
    6.0,
    0.5,
)  # log-odds that an answer which was recorded for this very question makes a row


@dataclass(frozen=True)
class Seat:
    """One place in a round, and all that its prompt depends on."""

    round: int
    place: int  # within the round, from 0
    shown: tuple[Seed, ...]
    topics: tuple[str, ...]
    ground: Ground | None = None
    machine: tuple[Example, ...] = ()  # rows of earlier rounds, for a style that shows some
    lacks: tuple[
        str, ...
    ] = ()  # kinds of task that the pool has too few of, as sealed at the end of the round before
    worn: tuple[str, ...] = ()  # first words that too many of its instructions have
    draw: int = (
        0  # for what a style leaves to chance: `random.Random(seat.draw)`; another one in each seat
    )


class Style(Protocol):
    """Turns a seat into requests and replies into drafts, and keeps nothing in mind between two calls."""

    name: ClassVar[str]

    @classmethod
    def prior_of(cls, teacher: TeacherTable) -> Prior: ...

    follows: ClassVar[int]  # more requests for each task of a first reply, at most
    one_prefix: ClassVar[bool]  # all seats of a round show the same seeds
    ties: ClassVar[Ties]  # how a pair at exactly the likeness is decided
    shows: ClassVar[str]  # which seeds it can show, as the end of a sentence; "" where all
    seeded: ClassVar[bool]  # a prompt shows seeds
    grounded: ClassVar[bool]  # each seat has a ground
    novel: ClassVar[
        bool
    ]  # its instructions must be unlike all that is known; False where they are taken from rows
    machine: ClassVar[int]  # rows of earlier rounds shown in the place of so many seeds
    steered: ClassVar[bool]  # a seat is told what the pool lacks
    dialects: ClassVar[tuple[str, ...]]  # in which it can ask: chat, completions
    goes_on: ClassVar[bool]  # a reply goes on from the prompt's last line, and is read so

    @property
    def topics(self) -> int:
        """How many are drawn for each seat."""

    @property
    def depth(self) -> int:
        """How many generations a row can be away from a ground; from 2 on, rows that came of grounds are grounds too."""

    def tasks(self, shown: int) -> int:
        """How many one prompt asks for, at most, that shows so many."""

    def usable(self, seeds: Sequence[Seed]) -> list[Seed]:
        """The seeds that its prompts can show."""

    def request_for(self, seat: Seat) -> Request: ...

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        """The pieces of the reply, in their order; at least one."""

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        """What is wrong with a draft by itself, as far as it has come."""

    def follow_up(self, seat: Seat, draft: Draft) -> Request | None:
        """What is to be asked next of a draft that is not rejected; None where it is whole."""

    def parse_follow_up(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        """The draft with what the reply to `follow_up` adds to it; several where it makes several rows of one instruction,
        at least one."""


class Plain(ABC):
    """What most styles have in common, and what each one says of itself: a base class."""

    name: ClassVar[str]  # its file's, with - for _
    says: ClassVar[str]  # what it asks for, as the manual has it
    prior: ClassVar[Prior]  # of a teacher of these months, for the forecast
    scripted_prior: ClassVar[Prior]  # of our scripted teacher
    keys: ClassVar[tuple[str, ...]] = ()  # those of `generate:` that only some styles have
    needs: ClassVar[
        Mapping[str, str]
    ] = {}  # of them, which must be there: key -> else this sentence
    marks: ClassVar[
        Mapping[str, int]
    ] = {}  # of its identity, raised where it alone reads otherwise
    defaults: ClassVar[Mapping[str, Any]] = {}  # of `generate:`, where its own are others

    follows: ClassVar[int] = 0
    one_prefix: ClassVar[bool] = False
    ties: ClassVar[Ties] = "exact"
    shows: ClassVar[str] = ""
    seeded: ClassVar[bool] = True
    grounded: ClassVar[bool] = False
    novel: ClassVar[bool] = True
    machine: ClassVar[int] = 0
    many_turns: ClassVar[bool] = False  # its rows are conversations of several turns
    steered: ClassVar[bool] = False
    dialects: ClassVar[tuple[str, ...]] = ("chat",)
    goes_on: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        """As a recipe wants it. teacher: the model's name; takes: the decoding fields that it accepts."""

    @classmethod
    def prior_of(cls, teacher: TeacherTable) -> Prior:
        """What is believed of this teacher before it was heard; what it thinks comes on top."""
        if teacher.kind != "rehearsed":
            return cls.prior
        written = teacher.recorded and not cls.novel
        return replace(cls.scripted_prior, readable=_WRITTEN) if written else cls.scripted_prior

    @property
    def topics(self) -> int:
        return 0

    @property
    def depth(self) -> int:
        return 1

    def tasks(self, shown: int) -> int:
        return 1

    def usable(self, seeds: Sequence[Seed]) -> list[Seed]:
        return list(seeds)

    @abstractmethod
    def request_for(self, seat: Seat) -> Request: ...

    @abstractmethod
    def parse(self, seat: Seat, reply: Completion) -> list[Piece]: ...

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        return unsound(draft)

    def follow_up(self, seat: Seat, draft: Draft) -> Request | None:
        return None

    def parse_follow_up(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        raise AssertionError("every draft of this style is whole")


def decoding(
    takes: frozenset[str], always: Mapping[str, Any], **where_taken: Any
) -> dict[str, Any]:
    """always: what the recipe asks for; where it is not taken, the teacher's `on_unsupported` decides.  where_taken:
    what helps a style along and is left out for a teacher without it."""
    wanted = {name: value for name, value in always.items() if value is not None}
    return wanted | {name: value for name, value in where_taken.items() if name in takes}
