"""May we sell it: what the licences and terms of all that went in say."""

from __future__ import annotations

from alpaca_pipe.report.chapters.base import ReportChapter

TERMS = ReportChapter(
    "terms",
    90,
    lambda facts: {"selling": facts.selling} if facts.selling else None,
    "terms_chapter.html.j2",
)
