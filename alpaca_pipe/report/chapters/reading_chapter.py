"""How foreign rows were read: their shapes, what was done to them, what was left unread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.report.chapters.base import ReportChapter, Told, with_figures
from alpaca_pipe.report.heavy_rules import heavy_rules
from alpaca_pipe.report.reading_notes import reading_lines


def as_read(summary: Mapping[str, Any]) -> Told | None:
    """Of the summary of curate; None for rows of our own."""
    said = (*reading_lines(summary), *heavy_rules(summary))
    lines = [f"{line[0].upper()}{line[1:]}." for line in said]
    return with_figures("How the rows were read", lines, ()) if lines else None


READING = ReportChapter("reading", 35, lambda facts: as_read(facts.reading))
