"""The judgement on each row, in row order: repaired, objected to, told before, or kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.curate import repairs
from alpaca_pipe.curate.dedup import Told
from alpaca_pipe.curate.filters import Rule, first_objection
from alpaca_pipe.similarity.words import Words


@dataclass(frozen=True)
class Judged:
    """A row as it is after repairs. before: as it was, where it was repaired; rejected: None when it is kept."""

    example: Example
    before: Example | None = None
    rejected: Rejected | None = None

    @property
    def repair(self) -> str:
        return repairs.RULE if self.before else ""


def judged(examples: Iterable[Example], rules: Sequence[Rule], repair: bool, likeness: Decimal,
           words: Words) -> Iterator[Judged]:
    """One answer a row. The first objection counts; only rows to which no filter objects enter the search for
    duplicates, so a bad row never displaces a good one that resembles it."""
    told = Told(likeness, words)
    rows = repairs.repaired(examples) if repair else ((example, None) for example in examples)
    for example, before in rows:
        objection = first_objection(example, rules)
        rejected = Rejected(example, *objection) if objection else told.before(example)
        yield Judged(example, before, rejected)
