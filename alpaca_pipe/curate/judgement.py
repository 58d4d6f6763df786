"""The verdict on each row, handed out in row order."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, pairwise
from typing import TypeVar

from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.ordered_processes import in_order
from alpaca_pipe.curate import dedup, repairs
from alpaca_pipe.curate.config import On
from alpaca_pipe.curate.dedup import Group
from alpaca_pipe.curate.filter_config import first_reason
from alpaca_pipe.curate.first_pass import A_PERSON, NONE
from alpaca_pipe.curate.review import overrides
from alpaca_pipe.curate.review.overrides import IncomingRow
from alpaca_pipe.curate.rules import CurationRules
from alpaca_pipe.data.arrow import StoredRows

T = TypeVar("T")
_ROWS = 1000  # that are worked on together
_SAID: Mapping[On, str] = {
    "task": "a task that was kept",
    "instruction": "an instruction that was kept",
    "input": "an input that was kept",
    "output": "an answer that was kept",
    "row": "a row that was kept",
    "instruction+input": "an instruction with its input that was kept",
}


@dataclass(frozen=True)
class Judged:
    """A row with its verdict. rejected: None when it is kept; despite: how it would have been dropped, had nobody kept it
    by hand."""

    row: IncomingRow
    rejected: Rejected | None = None
    despite: Rejected | None = None

    @property
    def example(self) -> Example:
        """As it is after repairs and edits."""
        return self.row.example

    @property
    def before(self) -> Example | None:
        """As it came, where it was repaired or edited."""
        return self.row.before

    @property
    def repair(self) -> str:
        """The rules that repaired it, in their order, with commas between them; or ""."""
        return str(self.example.origin.details["repair"]) if self.before else ""


@dataclass(frozen=True)
class Judgement:
    """What the first pass found; iterated over, it judges the rows once more and hands them out."""

    rows: Iterable[Example]
    how: CurationRules
    dropped_by: array[int]  # per row: FirstPass.dropped_by
    mended: Sequence[int]  # per row: whether it was repaired
    renamed: Mapping[int, str]  # of the rows whose id was another one's, by number
    ids: Sequence[str]  # of the rows that no filter drops; a row's place is its number among them
    groups: tuple[Group, ...]

    def __iter__(self) -> Iterator[Judged]:
        coming = self.how.coming(self.rows) if self.how.decisions else self._again(self.rows, 0)
        return self._judged(coming, 0, 0)

    def parts(self, work: Callable[[Iterable[Judged]], T]) -> Iterator[T]:
        """`work` on the rows, so many at a time, in order; in other processes where that is worth it."""
        rows, processes = self.rows, self.how.processes(self.rows)
        if not isinstance(rows, StoredRows) or processes < 2:
            found = iter(self)
            while some := list(islice(found, _ROWS)):
                yield work(some)
            return
        blocks = [*pairwise(rows.starts())]
        places = [0]
        for start, end in blocks:
            places.append(places[-1] + self.dropped_by[start:end].count(NONE))

        def of_block(number: int) -> T:
            start, end = blocks[number]
            some = self._again(rows.block(number, end - start), start)
            return work(self._judged(some, start, places[number]))

        yield from in_order(of_block, len(blocks), processes)

    def _again(self, rows: Iterable[Example], begin: int) -> Iterator[IncomingRow]:
        """The rows from number `begin` on as the first pass had them; what it did not mend is not looked at again."""
        for number, came in enumerate(rows, begin):
            row = (repairs.mended(came) or came) if self.mended[number] else came
            if name := self.renamed.get(number):
                row = replace(row, id=name)
            yield IncomingRow(row, came if self.mended[number] else None)

    def _judged(self, coming: Iterable[IncomingRow], begin: int, place: int) -> Iterator[Judged]:
        told = self._told
        for number, row in enumerate(coming, begin):
            example, by = row.example, self.dropped_by[number]
            if by == A_PERSON:
                yield Judged(row, Rejected(example, overrides.RULE, row.reason))
                continue
            if by >= 0:
                one = self.how.filters[by]
                yield Judged(row, Rejected(example, one.name, one.reason(example) or ""))
                continue
            rejected = None
            if place in told:
                nearest, reason = told[place]
                rejected = Rejected(example, dedup.RULE, reason, nearest=nearest)
            place += 1
            yield (
                Judged(row, None, self._despite(row, rejected))
                if row.kept
                else Judged(row, rejected)
            )

    def _despite(self, row: IncomingRow, rejected: Rejected | None) -> Rejected | None:
        found = first_reason(row.example, self.how.filters)
        return Rejected(row.example, *found) if found else rejected

    @cached_property
    def _told(self) -> Mapping[int, tuple[str, str]]:
        """Of each row that is told again, by place: the id of the row that stays, and the reason."""
        told: dict[int, tuple[str, str]] = {}
        said = _SAID[self.how.duplicates.on]
        for group in self.groups:
            stays = self.ids[group.stays]
            for place, score in group.others:
                reason = f"{float(score):.3f} like {said}, at most {self.how.likeness} wanted"
                if group.stays != group.first:
                    reason = (
                        "a better row tells the same"
                        if place == group.first
                        else f"{float(score):.3f} like {self.ids[group.first]}, at most {self.how.likeness} wanted, and a third row is better"
                    )
                told[place] = stays, reason
        return told

    def groups_told(self) -> Iterator[Mapping[str, object]]:
        """As rows of groups.jsonl: the id that was kept, the first one, and the others with their F to the first."""
        for group in self.groups:
            yield {
                "kept": self.ids[group.stays],
                "first": self.ids[group.first],
                "others": [
                    {"id": self.ids[place], "likeness": round(float(score), 4)}
                    for place, score in group.others
                ],
            }
