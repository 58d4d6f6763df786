"""What curate's judge said of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.report import figures
from alpaca_pipe.report.chapters.base import ReportChapter, Told, drawn, with_figures


def judged(grades: Mapping[str, Any], saved_minutes: float | None) -> Told | None:
    """The distribution of the grades, and what the rows that went save in training; None where nobody graded."""
    if not grades or not grades.get("histogram"):
        return None
    unread = (
        f"; {grades['ungraded']:,} grades could not be read, and those rows stayed"
        if grades["ungraded"]
        else ""
    )
    first = (
        f"{grades['graded']:,} rows were graded for {grades['dimension']}, {grades['mean']:.2f} of {grades['scale']} on average; "
        f"{grades['below']:,} went on their grade{unread}."
    )
    said = [first]
    if grades["tokens_below"]:
        spared = (
            f", about {saved_minutes:.1f} minutes at the pace of the training stage, its loading included"
            if saved_minutes is not None
            else ""
        )
        said.append(
            f"That saves {grades['tokens_below']:,} of about {grades['tokens']:,} tokens in each epoch{spared}."
        )
    bars = [(name, count) for name, count in grades["histogram"].items()]
    picture = figures.columns(
        bars, f"rows by grade for {grades['dimension']}, 0 to {grades['scale']}"
    )
    return with_figures(
        "What the judge said", said, [drawn(f"Rows by grade, 0 to {grades['scale']}", picture)]
    )


JUDGE = ReportChapter("judge", 40, lambda facts: judged(facts.grades, facts.saved_minutes))
