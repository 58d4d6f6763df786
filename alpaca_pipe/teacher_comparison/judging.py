"""What the recipe would keep of each entrant's rows: its filters and its search for duplicates, and one judge for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.curate.grading.grader import Grades, grade
from alpaca_pipe.curate.pipeline import judged
from alpaca_pipe.curate.rules import CurationRules
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.progress import Screen
from alpaca_pipe.teacher_comparison.asking import STAGE
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect
from alpaca_pipe.teachers.rounds import at_once

_PASSES = Decimal("0.9")  # of the scale, where no threshold is set: AlpaGasus' 4.5 of 5


@dataclass(frozen=True)
class RowJudgement:
    """Of one accepted row. dropped: the rule of curate that drops it, or ""; grade: None where it was not asked about, or the
    reply could not be read; passes: None where there is no judge."""

    example: Example
    dropped: str = ""
    reason: str = ""
    grade: float | None = None
    words: str = ""
    passes: bool | None = None

    @property
    def good(self) -> bool:
        """Kept by the filters, and passed by the judge where there is one."""
        return not self.dropped and self.passes is not False


def filtered(rows: Sequence[Example], config: CurateConfig | None) -> list[RowJudgement]:
    """In their order. config: the recipe's table `curate:`; None: it has none, and keeps all."""
    if config is None:
        return [RowJudgement(row) for row in rows]
    return [
        RowJudgement(
            one.example,
            one.rejected.rule if one.rejected else "",
            one.rejected.reason if one.rejected else "",
        )
        for one in judged(list(rows), CurationRules.of(config))
    ]


def least(how: Grading) -> Decimal:
    """The grade from which a row passes."""
    return how.threshold if how.threshold is not None else _PASSES * how.scale


async def graded(
    rows: Sequence[Sequence[RowJudgement]],
    how: Grading,
    shared: TeacherTable | None,
    *,
    journal: Journal,
    caps: Caps,
    recipe: str,
    run: str,
    folder: Path,
    screen: Screen,
    stopping: Callable[[], bool],
) -> list[list[RowJudgement]]:
    """The same rows with the judge's grades: of all that the filters keep. Raises UserError where its budget does not do, or
    nothing that it says can be read."""
    table = how.asked_of(shared)
    asked = [
        (number, place)
        for number, own in enumerate(rows)
        for place, one in enumerate(own)
        if not one.dropped
    ]
    screen.start(len(asked), "rows to grade")
    async with connect(
        table,
        journal=journal,
        caps=caps,
        recipe=recipe,
        run=run,
        stage=STAGE,
        log=folder / "judge.log",
        stopping=stopping,
        say=screen.say,
    ) as judge:
        grades = await grade(
            ((at, rows[number][place].example) for at, (number, place) in enumerate(asked)),
            judge,
            how,
            at_once(table),
            lambda at: screen.at(at + 1),
        )
    found = {asked[at]: at for at in grades.by_place}
    return [
        [
            _with(one, grades, found[number, place], how) if (number, place) in found else one
            for place, one in enumerate(own)
        ]
        for number, own in enumerate(rows)
    ]


def _with(one: RowJudgement, grades: Grades, at: int, how: Grading) -> RowJudgement:
    given = grades.by_place[at]
    if given.value is None:  # as in curate: a row whose grade cannot be read stays
        return replace(one, words=given.words)
    return replace(
        one, grade=float(given.value), words=given.words, passes=given.value >= least(how)
    )
