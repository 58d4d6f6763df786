"""Rounds of asking until enough rows are accepted: the same replies make the same dataset, at any concurrency.

Prompt i depends on (seed, i) and on nothing that is under way. The requests of a round are sent at once and read in
their order; what is known at the end of a round is what the next one starts from. Resuming is asking again: the teacher
answers at once what was answered before.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.generate.novelty import Pool, output_fault
from alpaca_pipe.generate.reply import Draft, Objection, Piece, Unread
from alpaca_pipe.generate.seeds import Seed
from alpaca_pipe.generate.seen import Seen
from alpaca_pipe.generate.style import Seat, Style
from alpaca_pipe.generate.topics import topics_from
from alpaca_pipe.similarity.rouge import Neighbour

# A stall: over so many rounds, fewer than one new row in so many seats. A pool that is full costs money for nothing.
STALL_ROUNDS, STALL_SEATS = 5, 50


class Asks(Protocol):
    """Of a teacher, what is needed here."""

    takes: frozenset[str]

    async def ask(self, request: Request) -> Completion: ...


@dataclass(frozen=True)
class Limits:
    """count: rows wanted; the last round is kept whole, so there may be more.  max_requests: None for no limit."""

    count: int
    round_size: int
    shown: int
    max_requests: int | None


@dataclass
class Entry:
    """A piece on its way to a verdict. keys: of the requests it took, the last one wrote its output."""

    seat: Seat
    place: str  # round/seat/item
    piece: Piece
    keys: list[str]
    verdict: Objection | Neighbour | None = None

    @property
    def open(self) -> bool:
        return self.accepted and isinstance(self.piece, Draft) and self.piece.output is None

    @property
    def accepted(self) -> bool:
        """No objection so far."""
        return isinstance(self.piece, Draft) and not isinstance(self.verdict, Objection)


@dataclass
class Asked:
    """Sums over all replies."""

    requests: int = 0
    from_store: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    models: set[str] = field(default_factory=set)  # what the server says it served

    def add(self, replies: Iterable[Completion]) -> None:
        for reply in replies:
            self.requests += 1
            self.from_store += reply.from_store
            self.tokens_in += reply.usage.tokens_in
            self.tokens_out += reply.usage.tokens_out
            if reply.model_said:
                self.models.add(reply.model_said)


@dataclass
class Generation:
    """What was asked and what came of it. Grows by whole rounds."""

    style: Style
    teacher: Asks
    seeds: Sequence[Seed]  # those that the style can show
    pool: Pool
    seed: int
    limits: Limits
    answered: Callable[[int, int], None] = lambda done, of: None  # called as the replies of a step come in
    examples: list[Example] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    seats: list[dict[str, Any]] = field(default_factory=list)
    asked: Asked = field(default_factory=Asked)
    rounds: list[tuple[int, int]] = field(default_factory=list)  # (seats, rows accepted) of each
    seen: list[Seen] = field(default_factory=list)  # the same at length, for the forecast
    _draws: Counter[str] = field(default_factory=Counter)
    _ids: Counter[str] = field(default_factory=Counter)
    _became: dict[str, str] = field(default_factory=dict)  # place -> id of the row, kept or dropped

    async def round(self) -> None:
        """Asks one round and takes it in whole, or raises and takes in nothing of it."""
        seats, known = self._draw_seats(), len(self.pool)
        replies = await self._ask([self.style.ask(seat) for seat in seats])
        entries = [entry for seat, reply in zip(seats, replies, strict=True) for entry in self._read(seat, reply)]
        unanswered = [entry for entry in entries if entry.open]
        answers = await self._ask([self.style.ask_answer(entry.seat, entry.piece) for entry in unanswered
                                   if isinstance(entry.piece, Draft)])
        for entry, reply in zip(unanswered, answers, strict=True):
            self._take_answer(entry, reply)
        self.asked.add((*replies, *answers))
        before = len(self.examples)
        for entry in entries:
            self._settle(entry)
        self._note_seats(seats, entries, {reply.key: reply.finish for reply in (*replies, *answers)}, replies)
        self.rounds.append((len(seats), len(self.examples) - before))
        near = sum(isinstance(entry.verdict, Objection) and entry.verdict.rule == "near_duplicate" for entry in entries)
        self.seen.append(Seen.of(replies, answers, pool=known, pieces=len(entries), near=near,
                                 new=len(self.pool) - known, accepted=len(self.examples) - before))

    def exhausted(self) -> str:
        """Why no further round should be asked although rows are missing, as a sentence; "" where one should."""
        at = f"stopped at {len(self.examples)} of {self.limits.count} rows"
        if self._seats_left() == 0:
            return f"{at}: max_requests ({self.limits.max_requests}) is reached"
        last = self.rounds[-STALL_ROUNDS:]
        seats, new = sum(part[0] for part in last), sum(part[1] for part in last)
        if len(last) == STALL_ROUNDS and new * STALL_SEATS < seats:
            return f"{at}: the last {seats} prompts brought {new or 'no'} new rows"
        return ""

    def _seats_left(self) -> int:
        """How many more seats fit under max_requests, at most a round of them."""
        if self.limits.max_requests is None:
            return self.limits.round_size
        left = (self.limits.max_requests - self.asked.requests) // self.style.requests
        return max(0, min(self.limits.round_size, left))

    def _draw_seats(self) -> list[Seat]:
        round_ = len(self.rounds)
        return [seat_of(self.style, self.seeds, self.seed, self.limits, round_, place) for place in range(self._seats_left())]

    async def _ask(self, requests: Sequence[Request]) -> list[Completion]:
        """All at once; the replies in the order of the requests. The first error ends it; what is in flight is kept."""
        done = 0

        async def one(request: Request) -> Completion:
            nonlocal done
            completion = await self.teacher.ask(request)
            done += 1
            self.answered(done, len(requests))
            return completion

        draws = self._draws.copy()
        drawn = [self._drawn(request, draws) for request in requests]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(request)) for request in drawn]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self._draws = draws
        return [task.result() for task in tasks]

    def _drawn(self, request: Request, draws: Counter[str]) -> Request:
        """With a decoding seed of its own where that is taken, and the number of the same requests before it."""
        digest = digest_of(request.asked())
        draw = draws[digest]
        draws[digest] += 1
        if "seed" not in self.teacher.takes:
            return replace(request, sample=draw)
        own = int(digest_of([self.seed, digest, draw])[:8], 16) >> 1  # 31 bits: what servers take
        return replace(request, decoding={**request.decoding, "seed": own})

    def _read(self, seat: Seat, reply: Completion) -> Iterator[Entry]:
        for item, piece in enumerate(self.style.read(seat, reply)):
            entry = Entry(seat, f"{seat.round}/{seat.place}/{item}", piece, [reply.key])
            if isinstance(piece, Draft):
                entry.verdict = self.style.objection(piece) or self.pool.judge(piece, entry.place)
            yield entry

    def _take_answer(self, entry: Entry, reply: Completion) -> None:
        assert isinstance(entry.piece, Draft)
        entry.keys.append(reply.key)
        piece = self.style.read_answer(entry.piece, reply)
        if isinstance(piece, Unread):
            entry.verdict = Objection(piece.rule, piece.reason)
        else:
            entry.piece, entry.verdict = piece, output_fault(piece) or entry.verdict

    def _settle(self, entry: Entry) -> None:
        """Enters a piece among the examples or the rejected ones."""
        verdict, piece, source = entry.verdict, entry.piece, entry.keys[-1]
        if isinstance(piece, Unread):
            self.rejected.append(Rejected(piece.text, piece.rule, piece.reason, source))
        elif isinstance(verdict, Objection):
            what: Example | str = piece.instruction
            if piece.output is not None or len(entry.keys) > 1:  # dropped at its answer: later ones may resemble it
                what = self._example(entry, piece, None)
                self._became[entry.place] = what.id
            self.rejected.append(Rejected(what, verdict.rule, verdict.reason, source, self._id_of(verdict.nearest)))
        else:
            example = self._example(entry, piece, verdict)
            self._became[entry.place] = example.id
            self.examples.append(example)

    def _example(self, entry: Entry, draft: Draft, nearest: Neighbour | None) -> Example:
        details: dict[str, Any] = {"place": entry.place, "style": self.style.name}
        if len(entry.keys) > 1:
            details["asked_before"] = entry.keys[:-1]
        if nearest:
            details |= {"nearest": self._id_of(nearest.id), "score": round(float(nearest.score), 4)}
        origin = Origin("generated", entry.keys[-1], tuple(seed.example.id for seed in entry.seat.shown), details)
        example = Example.of(draft.instruction, draft.input, draft.output or "", origin)
        self._ids[example.id] += 1
        count = self._ids[example.id]
        return example if count == 1 else replace(example, id=f"{example.id}#{count}")

    def _id_of(self, known: str) -> str:
        """Of what the pool knows by its place, the id it has by now."""
        return self._became.get(known, known)

    def _note_seats(self, seats: Sequence[Seat], entries: Sequence[Entry], finish: dict[str, str],
                    first: Sequence[Completion]) -> None:
        for seat, reply in zip(seats, first, strict=True):
            own = [entry for entry in entries if entry.seat is seat]
            keys = [reply.key, *(key for entry in own for key in entry.keys[1:])]
            self.seats.append({
                "round": seat.round, "seat": seat.place, "keys": keys, "finish": [finish[key] for key in keys],
                "shown": [seed.example.id for seed in seat.shown], "topics": list(seat.topics), "pieces": len(own),
                "accepted": sum(entry.accepted for entry in own)})


def seat_of(style: Style, seeds: Sequence[Seed], seed: int, limits: Limits, round_: int, place: int) -> Seat:
    """One place in a round: the seeds and topics of its prompt depend on nothing but these."""
    chance = random.Random(f"seeds {seed} {round_} {'' if style.one_prefix else place}")
    number = round_ * limits.round_size + place
    return Seat(round_, place, tuple(chance.sample(seeds, limits.shown)),
                topics_from(seed, number * style.topics, style.topics))
