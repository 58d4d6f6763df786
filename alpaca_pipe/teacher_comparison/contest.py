"""What a comparison is before it begins, and what comes of it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.ledger.entries import Totals
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.teacher_comparison.asking import ComparisonSetup
from alpaca_pipe.teacher_comparison.cost_forecast import ComparisonForecast
from alpaca_pipe.teacher_comparison.entrants import Entrant
from alpaca_pipe.teacher_comparison.judging import least
from alpaca_pipe.teacher_comparison.measures import EntrantMeasures, Pair

PAGE = "contest.html"


@dataclass(frozen=True)
class Contest:
    """What is compared, before anything is asked. judge: one for all, or None; cap: nano-dollars over all runs of it."""

    recipe: Recipe
    workspace: Workspace
    entrants: tuple[Entrant, ...]
    terms: ComparisonSetup
    judge: Grading | None
    outlook: ComparisonForecast
    cap: int
    named: bool  # the cap was

    @property
    def id(self) -> str:
        return self.terms.id(self.entrants)

    @property
    def folder(self) -> Path:
        return self.workspace.of(self.recipe.name) / "contests" / self.id.removeprefix("contest-")

    def to_row(self) -> dict[str, Any]:
        """What is known before anything is sent; money in nano-dollars, ranges as [P10, P50, P90]."""

        def plain(amount: Any) -> list[int]:
            return [round(amount.p10), round(amount.p50), round(amount.p90)]

        return {
            "id": self.id,
            "recipe": self.recipe.name,
            "prompts": self.terms.prompts,
            "cap": self.cap,
            "expected": plain(self.outlook.dollars),
            "judge": plain(self.outlook.judge) if self.outlook.judged else None,
            "entrants": [
                {
                    "name": one.name,
                    "stored": one.stored,
                    "requests": plain(one.requests),
                    "expected": plain(one.dollars),
                }
                for one in self.outlook.entrants
            ],
        }


@dataclass(frozen=True)
class ComparisonResult:
    """side_by_side: some prompts, each with one row of each entrant, or why there is none. short: why it ended early; money: of
    this comparison, over all its runs."""

    contest: Contest
    figures: tuple[EntrantMeasures, ...]
    pairs: tuple[Pair, ...]
    side_by_side: tuple[tuple[str, tuple[dict[str, Any] | None, ...]], ...]
    money: Totals
    short: str = ""

    @property
    def judged(self) -> str:
        """By whom, and what passes; "" where nobody judged."""
        how = self.contest.judge
        if how is None:
            return ""
        judge = how.asked_of(self.contest.recipe.tables.get("teacher"))
        own = [
            one.name for one in self.contest.entrants if one.teacher.identity() == judge.identity()
        ]
        partial = (
            f"; it is one of those compared, and judges its own rows too ({own[0]})" if own else ""
        )
        return f"{judge.called}, {how.dimension}; {least(how).normalize():f} of {how.scale} passes{partial}"

    def to_row(self) -> dict[str, Any]:
        return {
            **self.contest.to_row(),
            "short": self.short,
            "judged_by": self.judged,
            "money": {**asdict(self.money), "spent": self.money.spent},
            "teachers": [one.to_row() for one in self.figures],
            "pairs": [one.to_row() for one in self.pairs],
            "side_by_side": [{"prompt": place, "rows": rows} for place, rows in self.side_by_side],
            "page": os.fspath(self.contest.folder / PAGE),
        }
