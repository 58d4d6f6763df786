"""The judgement on each row, in row order: repaired, objected to, told before, or kept.

Two passes over the rows, which lie memory-mapped on disk. The first finds the verdicts, and remembers of a row whether it
was objected to and what duplicates are told by; the second hands the rows out. So memory grows with the index, not with
the rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.curate import dedup, repairs
from alpaca_pipe.curate.dedup import Duplicates, Group
from alpaca_pipe.curate.filters import Rule
from alpaca_pipe.curate.look import Look, Seen
from alpaca_pipe.curate.repairs import free_id
from alpaca_pipe.similarity.words import Words

if TYPE_CHECKING:
    from alpaca_pipe.curate.many import Texts

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Judged:
    """A row as it is after repairs. before: as it was, where it was repaired; rejected: None when it is kept."""

    example: Example
    before: Example | None = None
    rejected: Rejected | None = None

    @property
    def repair(self) -> str:
        """The rules that repaired it, in their order, with commas between them; or ""."""
        return str(self.example.origin.details["repair"]) if self.before else ""


@dataclass(frozen=True)
class Manner:
    """How rows are judged: the objections in their order, whether rows are repaired, and what counts as a duplicate."""

    rules: Sequence[Rule]
    repair: bool
    likeness: Decimal
    words: Words
    duplicates: Duplicates = field(default_factory=Duplicates)
    engine: Engine = "local"


def judged(rows: Iterable[Example], how: Manner, tick: Callable[[int], None] = lambda done: None) -> Judgement:
    """The verdicts on `rows`, which must begin anew each time they are iterated over. tick: is told how many rows the first
    pass has seen, and may raise Stopped.

    The first objection counts; only rows to which no filter objects enter the search for duplicates, so a bad row never
    displaces a good one that resembles it.
    """
    look = Look(how.rules, how.repair, how.duplicates)
    if how.engine == "ray":
        from alpaca_pipe.curate import many

        with many.cluster():
            return _first_pass(rows, how, many.looked_at(rows, look, tick), many.Texts())
    return _first_pass(rows, how, _here(rows, look, tick), [])


def _here(rows: Iterable[Example], look: Look, tick: Callable[[int], None]) -> Iterator[Seen]:
    for done, example in enumerate(rows, 1):
        yield look(example)
        tick(done)


def _first_pass(rows: Iterable[Example], how: Manner, every: Iterable[Seen], texts: list[str] | Texts) -> Judgement:
    objected, ids, worth = array("b"), list[str](), list[Sequence[float]]()
    taken: set[str] = set()
    for seen in every:
        objected.append(seen.rule)
        id = free_id(seen.id, taken) if how.repair else seen.id
        if seen.rule < 0:
            texts.append(seen.text)
            ids.append(id)
            if seen.worth:
                worth.append(seen.worth)
    near = dedup.met(texts, how.likeness, how.words, minhash_from=how.duplicates.minhash_from)
    return Judgement(rows, how, objected, ids, tuple(dedup.groups(near, worth or None)))


@dataclass(frozen=True)
class Judgement:
    """What the first pass found; iterated over, it judges the rows once more and hands them out."""

    rows: Iterable[Example]
    how: Manner
    objected: Sequence[int]  # per row: the number of the rule that objects, or -1
    ids: Sequence[str]  # of the rows to which none objects; a row's place is its number among them
    groups: tuple[Group, ...]

    def __iter__(self) -> Iterator[Judged]:
        told = dict(self._told())
        place = 0
        for (example, before), number in zip(mended(self.rows, self.how.repair), self.objected, strict=True):
            if number >= 0:
                rule = self.how.rules[number]
                yield Judged(example, before, Rejected(example, rule.name, rule.objection(example) or ""))
                continue
            rejected = None
            if place in told:
                nearest, reason = told[place]
                rejected = Rejected(example, dedup.RULE, reason, nearest=nearest)
            yield Judged(example, before, rejected)
            place += 1

    def _told(self) -> Iterator[tuple[int, tuple[str, str]]]:
        """(place, (id of the row that stays, reason)) of each row that is told again."""
        for group in self.groups:
            stays = self.ids[group.stays]
            for place, score in group.others:
                said = "an instruction that was kept" if self.how.duplicates.on == "instruction" else "a row that was kept"
                reason = f"{float(score):.3f} like {said}, at most {self.how.likeness} wanted"
                if group.stays != group.first:
                    reason = "a better row tells the same" if place == group.first else \
                        f"{float(score):.3f} like {self.ids[group.first]}, at most {self.how.likeness} wanted, and a third row is better"
                yield place, (stays, reason)

    def groups_told(self) -> Iterator[Mapping[str, object]]:
        """As rows of groups.jsonl: the id that was kept, the first one, and the others with their F to the first."""
        for group in self.groups:
            yield {"kept": self.ids[group.stays], "first": self.ids[group.first],
                   "others": [{"id": self.ids[place], "likeness": round(float(score), 4)} for place, score in group.others]}


def mended(rows: Iterable[Example], repair: bool) -> Iterator[tuple[Example, Example | None]]:
    return repairs.repaired(rows) if repair else ((example, None) for example in rows)
