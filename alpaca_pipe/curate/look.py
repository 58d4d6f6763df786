"""What the first pass of judge.py remembers of a row: a function of this row alone, wherever it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate import dedup, repairs
from alpaca_pipe.curate.filters import Rule


class Seen(NamedTuple):
    """rule: the number of the first that objects, or -1. Of a row to which none objects also what duplicates are told by, and
    where the best of them is to stay, what it is worth: a grade that a judge gave, above none; then the length of the output."""

    rule: int
    id: str
    text: str = ""
    worth: Sequence[float] = ()


@dataclass(frozen=True)
class Look:
    rules: Sequence[Rule]
    repair: bool
    duplicates: dedup.Duplicates

    def __call__(self, example: Example) -> Seen:
        """The id is that of the repaired row, before ids are made unique."""
        row = (repairs.mended(example) if self.repair else None) or example
        number = next((place for place, rule in enumerate(self.rules) if rule.objection(row)), -1)
        if number >= 0:
            return Seen(number, row.id)
        return Seen(-1, row.id, dedup.text_of(row, self.duplicates.on), _worth(row) if self.duplicates.keep == "best" else ())


def _worth(row: Example) -> tuple[float, ...]:
    grade = row.origin.details.get("grade")
    return (float(grade) if isinstance(grade, int | float) else float("-inf"), float(len(row.output)))
