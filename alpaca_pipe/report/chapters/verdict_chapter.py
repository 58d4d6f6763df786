"""What the verdict rests on: held-out losses with their intervals, control by control."""

from __future__ import annotations

from alpaca_pipe.report import figures
from alpaca_pipe.report.chapters.base import ReportChapter, Told, drawn
from alpaca_pipe.report.facts import Facts
from alpaca_pipe.report.verdict_text import in_words


def _told(facts: Facts) -> Told | None:
    verdict = in_words(facts.verdict, str(facts.run.get("outcome", "")))
    if not verdict.rounds:
        return None
    losses = drawn("", figures.held_out_losses(verdict.points)).svg
    foreign = in_words((facts.verdict or {}).get("foreign"), "")
    return {
        "method": verdict.method,
        "rounds": verdict.rounds,
        "losses": losses,
        "foreign": foreign if foreign.rounds else None,
        "foreign_losses": drawn("", figures.held_out_losses(foreign.points, "foreign")).svg
        if foreign.rounds
        else "",
    }


VERDICT = ReportChapter("evaluate", 10, _told, "verdict_chapter.html.j2")
