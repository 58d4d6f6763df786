"""How much each row weighs: by the grade that the judge of [curate] gave it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example


def weights_of(rows: Sequence[Example], say: Callable[[str], None]) -> list[float]:
    """grade / mean grade, so that the weights are 1 on average. A row without a grade weighs 1, which is said.

    UserError where no row has a grade above 0.
    """
    grades = [grade_of(row) for row in rows]
    known = [grade for grade in grades if grade is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    if mean <= 0:
        raise UserError(
            "train.row_weights: grade, and no row has a grade above 0",
            "let a judge grade the rows (curate.grade), or set train.row_weights: none",
        )
    if unknown := len(rows) - len(known):
        say(f"{unknown} of {len(rows)} rows have no grade, and weigh as much as the mean")
    if nothing := sum(grade == 0 for grade in known):
        say(f"{nothing} of {len(rows)} rows have grade 0, and weigh nothing")
    return [1.0 if grade is None else grade / mean for grade in grades]


def grade_of(row: Example) -> float | None:
    grade = row.origin.details.get("grade")
    return float(grade) if isinstance(grade, int | float) else None
