"""Rows, drawn at random: some that were kept, and some that were dropped."""

from __future__ import annotations

from alpaca_pipe.report.chapters.base import ReportChapter, Told
from alpaca_pipe.report.facts import Facts


def _told(facts: Facts) -> Told | None:
    if not facts.kept:
        return None
    of = facts.funnel.last or len(facts.kept)
    return {"kept": facts.kept, "dropped": facts.dropped, "of": of}


ROWS = ReportChapter("rows", 80, _told, "rows_chapter.html.j2")
