"""The judgement on each row, in row order: repaired, dropped_by to, told before, or kept.

Two passes over the rows, which lie memory-mapped on disk. The first finds the verdicts, and remembers of a row whether it
was dropped_by to and what duplicates are told by; the second hands the rows out. So memory grows with the index, not with
the rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.curate import dedup
from alpaca_pipe.curate.config import CurateConfig, Duplicates, Engine
from alpaca_pipe.curate.contamination import overlap
from alpaca_pipe.curate.dedup import Group, TextsElsewhere
from alpaca_pipe.curate.filter_config import ActiveFilter, first_reason
from alpaca_pipe.curate.first_pass import A_PERSON, NONE, FirstPass, FirstPassSettings
from alpaca_pipe.curate.repairs import free_id
from alpaca_pipe.curate.review import overrides
from alpaca_pipe.curate.review.decisions import Decisions
from alpaca_pipe.curate.review.overrides import IncomingRow, coming
from alpaca_pipe.similarity.words import Words


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
class CurationRules:
    """How rows are judged: the filters in their order, whether rows are repaired, and what counts as a duplicate."""

    filters: Sequence[ActiveFilter]
    repair: bool
    likeness: Decimal
    words: Words
    duplicates: Duplicates = field(default_factory=Duplicates)
    engine: Engine = "local"
    decisions: Decisions = field(default_factory=Decisions)

    @staticmethod
    def of(table: CurateConfig) -> CurationRules:
        """As a recipe wants it. Reads the evaluation sets, where it names any."""
        filters = table.filters.active()
        if table.contamination:
            filters = (*filters, overlap(table.contamination).as_filter())
        return CurationRules(
            filters,
            table.repair,
            table.likeness,
            table.words,
            table.duplicates,
            table.engine,
            table.decisions,
        )

    def coming(self, rows: Iterable[Example]) -> Iterator[IncomingRow]:
        """The rows as they are judged."""
        return coming(rows, self.repair, self.decisions)


def judged(
    rows: Iterable[Example], how: CurationRules, tick: Callable[[int], None] = lambda done: None
) -> Judgement:
    """The verdicts on `rows`, which must begin anew each time they are iterated over. tick: is told how many rows the first
    pass has seen, and may raise Stopped.

    The first filter that drops a row gives the reason; only rows that none drops enter the search for duplicates, so a bad row never
    displaces a good one that resembles it. A row that was kept by hand enters it as if none dropped it, and stays whatever it finds.
    """
    look = FirstPassSettings(how.filters, how.repair, how.duplicates)
    if how.engine == "ray":
        from alpaca_pipe.curate import ray_backend

        with ray_backend.cluster():
            seen = ray_backend.looked_at(rows, look, tick)
            return _first_pass(
                rows,
                how,
                _as_decided(seen, rows, how, look) if how.decisions else seen,
                ray_backend.RayTexts(),
            )
    return _first_pass(rows, how, _here(rows, how, look, tick), [])


def _here(
    rows: Iterable[Example],
    how: CurationRules,
    look: FirstPassSettings,
    tick: Callable[[int], None],
) -> Iterator[FirstPass]:
    for done, row in enumerate(how.coming(rows), 1):
        yield look.at(row)
        tick(done)


def _as_decided(
    every: Iterable[FirstPass], rows: Iterable[Example], how: CurationRules, look: FirstPassSettings
) -> Iterator[FirstPass]:
    """What was seen elsewhere, without decisions; a row that a person decided on is looked at again."""
    for seen, row in zip(every, how.coming(rows), strict=True):
        yield look.at(row) if row.said else seen._replace(id=row.example.id)


def _first_pass(
    rows: Iterable[Example],
    how: CurationRules,
    every: Iterable[FirstPass],
    texts: list[str] | TextsElsewhere,
) -> Judgement:
    dropped_by, ids, worth = array("b"), list[str](), list[Sequence[float]]()
    taken: set[str] = set()
    for seen in every:
        dropped_by.append(seen.dropped_by)
        id = free_id(seen.id, taken) if how.repair else seen.id
        if seen.dropped_by == NONE:
            texts.append(seen.text)
            ids.append(id)
            if seen.worth:
                worth.append(seen.worth)
    near = dedup.met(texts, how.likeness, how.words, minhash_from=how.duplicates.minhash_from)
    return Judgement(rows, how, dropped_by, ids, tuple(dedup.groups(near, worth or None)))


@dataclass(frozen=True)
class Judgement:
    """What the first pass found; iterated over, it judges the rows once more and hands them out."""

    rows: Iterable[Example]
    how: CurationRules
    dropped_by: Sequence[int]  # per row: FirstPass.dropped_by
    ids: Sequence[str]  # of the rows that no filter drops; a row's place is its number among them
    groups: tuple[Group, ...]

    def __iter__(self) -> Iterator[Judged]:
        told = dict(self._told())
        place = 0
        for row, number in zip(self.how.coming(self.rows), self.dropped_by, strict=True):
            example = row.example
            if number == A_PERSON:
                yield Judged(row, Rejected(example, overrides.RULE, row.reason))
                continue
            if number >= 0:
                one = self.how.filters[number]
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

    def _told(self) -> Iterator[tuple[int, tuple[str, str]]]:
        """(place, (id of the row that stays, reason)) of each row that is told again."""
        for group in self.groups:
            stays = self.ids[group.stays]
            for place, score in group.others:
                said = (
                    "an instruction that was kept"
                    if self.how.duplicates.on == "instruction"
                    else "a row that was kept"
                )
                reason = f"{float(score):.3f} like {said}, at most {self.how.likeness} wanted"
                if group.stays != group.first:
                    reason = (
                        "a better row tells the same"
                        if place == group.first
                        else f"{float(score):.3f} like {self.ids[group.first]}, at most {self.how.likeness} wanted, and a third row is better"
                    )
                yield place, (stays, reason)

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
