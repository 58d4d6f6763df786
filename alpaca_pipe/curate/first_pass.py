"""What the first pass of pipeline.py remembers of a row: a function of this row alone, wherever it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate import dedup, repairs
from alpaca_pipe.curate.config import Duplicates
from alpaca_pipe.curate.filter_config import ActiveFilter
from alpaca_pipe.curate.review.overrides import IncomingRow
from alpaca_pipe.similarity.words import Text

NONE, A_PERSON = -1, -2


class FirstPass(NamedTuple):
    """dropped_by: the number of the first filter that drops the row; or NONE, or A_PERSON. mended: it is another row than
    came. Of a row that none drops also what duplicates are told by, and where the best of them is to stay, what it is
    worth: a grade that a judge gave, above none; then the length of the output."""

    dropped_by: int
    id: str
    mended: bool
    told_by: Text = ""
    worth: Sequence[float] = ()


@dataclass(frozen=True)
class FirstPassSettings:
    filters: Sequence[ActiveFilter]
    repair: bool
    duplicates: Duplicates

    def __call__(self, example: Example) -> FirstPass:
        """The id is that of the repaired row, before ids are made unique."""
        mended = repairs.mended(example) if self.repair else None
        return self.at(IncomingRow(mended or example, example if mended else None))

    def at(self, coming: IncomingRow) -> FirstPass:
        """A person's word stands above every rule."""
        row, number = coming.example, A_PERSON if coming.dropped else NONE
        if not coming.said:
            number = self._first_to_drop(row)
        mended = coming.before is not None
        if number != NONE:
            return FirstPass(number, row.id, mended)
        return FirstPass(
            NONE,
            row.id,
            mended,
            dedup.told_by(row, self.duplicates.on),
            _worth(row) if self.duplicates.keep == "best" else (),
        )

    def _first_to_drop(self, row: Example) -> int:
        if row.messages:
            every = enumerate(one.reason(row) for one in self.filters)
            return next((place for place, reason in every if reason), NONE)
        for place, one in enumerate(self.filters):
            if one.of_row(row):
                return place
        return NONE


def _worth(row: Example) -> tuple[float, ...]:
    grade = row.origin.details.get("grade")
    return (
        float(grade) if isinstance(grade, int | float) else float("-inf"),
        float(len(row.answered)),
    )
