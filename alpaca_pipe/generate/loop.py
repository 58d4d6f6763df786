"""Rounds of asking until enough rows are accepted: the same replies make the same dataset, at any concurrency.

Prompt i depends on (seed, i, the rows as sealed at the end of the round before) and on nothing that is under way. The
requests of a round are sent at once and read in their order. Resuming is asking again: the teacher answers at once what
was answered before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.generate.candidates import Candidate, ReplyTotals, noted, place_of
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.parsing.reply import Draft, Rejection, Unread
from alpaca_pipe.generate.prompts.coverage import Balance
from alpaca_pipe.generate.prompts.sampling import Seating
from alpaca_pipe.generate.replay.replay import NotStored, Replay, Told
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.generate.stop_rules import STALL_ROUNDS, STALL_SEATS, Limits
from alpaca_pipe.generate.styles.base import Seat
from alpaca_pipe.similarity.rouge import Neighbour
from alpaca_pipe.teachers.base import Teacher

_log = logging.getLogger(__name__)  # what becomes of each piece, for `-v`


@dataclass
class Generation:
    """What was asked and what came of it. Grows by whole rounds."""

    seating: Seating
    teacher: Teacher
    pool: Pool
    limits: Limits
    called: str = ""  # the teacher's name, for the rows
    earlier: Replay = field(default_factory=Replay)
    blind: bool = (
        False  # prompts see no row of the rounds before, so that every teacher is asked the same
    )
    does_without: bool = False  # an answer that is not stored, where nothing may be sent; else NotStored ends the run
    answered: Callable[[int, int], None] = lambda done, of: (
        None
    )  # called as the replies of a step come in
    examples: list[Example] = field(
        default_factory=list
    )  # to begin with, the rows that are extended
    rejected: list[Rejected] = field(default_factory=list)
    seats: list[dict[str, Any]] = field(default_factory=list)
    asked: ReplyTotals = field(default_factory=ReplyTotals)
    rounds: list[tuple[int, int]] = field(default_factory=list)  # (seats, rows accepted) of each
    seen: list[RoundStats] = field(default_factory=list)  # the same at length, for the forecast
    _draws: Counter[str] = field(default_factory=Counter)
    _ids: Counter[str] = field(default_factory=Counter)
    _became: dict[str, str] = field(default_factory=dict)  # place -> id of the row, kept or dropped
    _balance: Balance = field(default_factory=Balance)

    def __post_init__(self) -> None:
        self.style = self.seating.style
        self.extended = len(self.examples)
        self._turns = self.seating.turns()
        self._ids.update(example.id.partition("#")[0] for example in self.examples)
        self._balance.add(self.examples)

    async def round(self) -> None:
        """Asks one round and takes it in whole, or raises and takes in nothing of it."""
        seats, known = self._draw_seats(), len(self.pool)
        first = await self._ask([(place_of(seat), self.style.request_for(seat)) for seat in seats])
        if any(told is None for told in first):
            raise NotStored
        replies = [told for told in first if told]
        entries = [
            entry
            for seat, told in zip(seats, replies, strict=True)
            for entry in self._read(seat, told)
        ]
        answers: list[Completion] = []
        while following := self._following(entries):
            came = dict(zip(following, await self._ask(list(following.items())), strict=True))
            answers += [told.reply for told in came.values() if told]
            entries = [
                new
                for entry in entries
                for new in (
                    self._take_answer(entry, came[entry.next]) if entry.next in came else (entry,)
                )
            ]
        self.asked.add((*(told.reply for told in replies), *answers))
        before = len(self.examples)
        for entry in entries:
            self._settle(entry)
        if not self.blind:
            self._balance.add(self.examples[before:])
            self._turns.add(self.examples[before:])
        by_seat: dict[str, list[Candidate]] = {place_of(seat): [] for seat in seats}
        for entry in entries:
            by_seat[place_of(entry.seat)].append(entry)
        self.seats += [
            noted(seat, told, by_seat[place_of(seat)])
            for seat, told in zip(seats, replies, strict=True)
        ]
        self.rounds.append((len(seats), len(self.examples) - before))
        near = sum(
            isinstance(entry.verdict, Rejection) and entry.verdict.rule == "likeness"
            for entry in entries
        )
        self.seen.append(
            RoundStats.of(
                [told.reply for told in replies],
                answers,
                pool=known,
                pieces=len(entries),
                near=near,
                new=len(self.pool) - known,
                accepted=len(self.examples) - before,
            )
        )

    def exhausted(self) -> str:
        """Why no further round should be asked although rows are missing, as a sentence; "" where one should."""
        at = f"stopped at {len(self.examples)} of {self.limits.count} rows"
        if self.seats_left == 0:
            if self._grounds_left() == 0:
                return f"{at}: each of the {len(self.seating.grounds):,} passages or rows was used as often as generate.times allows"
            return f"{at}: max_requests ({self.limits.max_requests}) is reached"
        most, candidates = self.limits.max_candidates, sum(one.pieces for one in self.seen)
        if most is not None and candidates >= most:
            return f"{at}: max_candidates ({most:,}) is reached, {candidates:,} were read"
        last = self.rounds[-STALL_ROUNDS:]
        seats, new = sum(part[0] for part in last), sum(part[1] for part in last)
        if len(last) == STALL_ROUNDS and new * STALL_SEATS < seats:
            return (
                f"{at}: the last {seats} prompts brought {new or 'no'} new rows; {self._why_few()}"
            )
        return ""

    def _why_few(self) -> str:
        """What became of the pieces of the last rounds."""
        last = self.seen[-STALL_ROUNDS:]
        pieces, near = sum(one.pieces for one in last), sum(one.near for one in last)
        if near * 2 >= pieces:
            return f"{near} of the {pieces} tasks that came were near a known one: the teacher has few new ideas left here"
        rules = Counter(rejected.rule for rejected in self.rejected[-pieces:])
        return f"of the {pieces} candidates, most were dropped by {rules.most_common(1)[0][0]}"

    @property
    def seats_left(self) -> int:
        """How many more seats fit under max_requests and have a ground, at most a round of them."""
        left = self._grounds_left()
        most = self.seating.round_size if left is None else min(self.seating.round_size, left)
        if self.limits.seats is not None:
            most = min(most, self.limits.seats - len(self.seats))
        if self.limits.max_requests is None:
            return most
        each = 1 + self.style.follows * self.style.tasks(self.seating.shown)
        return max(0, min(most, (self.limits.max_requests - self.asked.requests) // each))

    def _draw_seats(self) -> list[Seat]:
        count = self.seats_left
        grounds = self._turns.take(count) if self.style.grounded else ()
        return self.seating.round(
            len(self.rounds),
            len(self.seats),
            count,
            grounds,
            () if self.blind else self.examples,
            self._balance,
        )

    def _grounds_left(self) -> int | None:
        return self._turns.left if self.style.grounded else None

    async def _ask(self, wanted: Sequence[tuple[str, Request]]) -> list[Told | None]:
        """All at once, each with its place; the replies in the order of the requests, None where nothing is stored and
        nothing may be sent. The first error ends it; what is in flight is kept."""
        done = 0

        async def one(place: str, request: Request, draw: int) -> Told | None:
            nonlocal done
            prompt = digest_of([[message.role, message.content] for message in request.messages])[
                :16
            ]
            told = self.earlier.at(place)
            if told:
                self.asked.replayed += 1
                self.asked.otherwise += told.prompt != prompt
            else:
                try:
                    told = Told(place, await self.teacher.ask(request), draw, prompt)
                except NotStored:
                    return None
            done += 1
            self.answered(done, len(wanted))
            return replace(told, reply=told.reply.for_the_reader())

        draws = self._draws.copy()
        drawn = [(place, *self._drawn(request, draws)) for place, request in wanted]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(*each)) for each in drawn]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self._draws = draws
        return [task.result() for task in tasks]

    def _drawn(self, request: Request, draws: Counter[str]) -> tuple[Request, int]:
        """With a decoding seed of its own where that is taken, and the number of the same requests before it."""
        digest = digest_of(request.asked())
        draw = draws[digest]
        draws[digest] += 1
        if "seed" not in self.teacher.takes:
            return replace(request, sample=draw), draw
        own = (
            int(digest_of([self.seating.seed, digest, draw])[:8], 16) >> 1
        )  # 31 bits: what servers take
        return replace(request, decoding={**request.decoding, "seed": own}), draw

    def _read(self, seat: Seat, told: Told) -> Iterator[Candidate]:
        for item, piece in enumerate(self.style.parse(seat, told.reply)):
            verdict: Rejection | Neighbour | None = None
            if isinstance(piece, Draft):
                verdict = self.style.rejection(seat, piece)
                if verdict is None and self.style.novel:
                    verdict = self.pool.judge(piece, f"{place_of(seat)}/{item}")
            yield Candidate(seat, str(item), piece, (told,), verdict)

    def _following(self, entries: Sequence[Candidate]) -> dict[str, Request]:
        """What is to be asked next, by its place."""
        return {
            entry.next: request
            for entry in entries
            if entry.accepted
            and isinstance(entry.piece, Draft)
            and (request := self.style.follow_up(entry.seat, entry.piece)) is not None
        }

    def _take_answer(self, entry: Candidate, told: Told | None) -> Iterator[Candidate]:
        assert isinstance(entry.piece, Draft)
        if told is None:
            if not self.does_without:
                raise NotStored
            self.asked.unasked += 1
            yield replace(
                entry,
                verdict=Rejection(
                    "not_asked", "its answer is not stored, and nothing was to be bought"
                ),
            )
            return
        whole = (*entry.told, told)
        for number, piece in enumerate(
            self.style.parse_follow_up(entry.seat, entry.piece, told.reply)
        ):
            item = f"{entry.item}+{number}" if number else entry.item
            if isinstance(piece, Unread):
                yield replace(
                    entry, item=item, told=whole, verdict=Rejection(piece.rule, piece.reason)
                )
            else:
                verdict = self.style.rejection(entry.seat, piece) or entry.verdict
                yield replace(entry, item=item, piece=piece, told=whole, verdict=verdict)

    def _settle(self, entry: Candidate) -> None:
        """Enters a piece among the examples or the rejected ones."""
        verdict, piece, source = entry.verdict, entry.piece, entry.told[-1].reply.key
        if isinstance(piece, Unread):
            self._reject(Rejected(piece.text, piece.rule, piece.reason, source))
        elif isinstance(verdict, Rejection):
            what: Example | str = piece.instruction
            if piece.output is not None or len(entry.told) > 1 or verdict.rule == "not_asked":
                what = self._example(
                    entry, piece, None
                )  # dropped at its answer: later ones may resemble it
                self._became[entry.place] = what.id
            self._reject(
                Rejected(what, verdict.rule, verdict.reason, source, self._id_of(verdict.nearest))
            )
        else:
            example = self._example(entry, piece, verdict)
            self._became[entry.place] = example.id
            self.examples.append(example)

    def _reject(self, rejected: Rejected) -> None:
        self.rejected.append(rejected)
        text = rejected.what if isinstance(rejected.what, str) else rejected.what.instruction
        _log.debug("dropped, %s: %s (%r)", rejected.rule, rejected.reason, text[:60])

    def _example(self, entry: Candidate, draft: Draft, nearest: Neighbour | None) -> Example:
        seat, last = entry.seat, entry.told[-1]
        details: dict[str, Any] = {
            "place": entry.place,
            "style": self.style.name,
            "prompt": last.prompt,
            "sample": last.draw,
        }
        if self.called:
            details["teacher"] = self.called
        if len(entry.told) > 1:
            details["asked_before"] = [told.reply.key for told in entry.told[:-1]]
        if seat.ground:
            details |= {"ground": seat.ground.source, **seat.ground.details}
        details |= draft.details
        if nearest:
            details |= {"nearest": self._id_of(nearest.id), "score": round(float(nearest.score), 4)}
        parents = [seed.example.id for seed in seat.shown] + [row.id for row in seat.machine]
        if seat.ground and seat.ground.example:
            parents.append(seat.ground.example.id)
        origin = Origin("generated", last.reply.key, tuple(parents), details)
        if draft.turns:
            example = Example.of_messages(draft.turns, origin, draft.system)
        else:
            example = Example.of(
                draft.instruction, draft.input, draft.output or "", origin, draft.system
            )
        self._ids[example.id] += 1
        count = self._ids[example.id]
        return example if count == 1 else replace(example, id=f"{example.id}#{count}")

    def _id_of(self, known: str) -> str:
        """Of what the pool knows by its place, the id it has by now."""
        return self._became.get(known, known)
