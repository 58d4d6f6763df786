"""Before and after: held-out instructions, answered by base and tuned."""

from __future__ import annotations

from alpaca_pipe.report.chapters.base import ReportChapter

SAMPLES = ReportChapter(
    "samples",
    70,
    lambda facts: {"samples": facts.samples} if facts.samples else None,
    "samples_chapter.html.j2",
)
