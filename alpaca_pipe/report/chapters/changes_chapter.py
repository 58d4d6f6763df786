"""What the tune changed beside the loss: instructions followed, habits of answering, small questions; and what got worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.evaluate.least_difference import SHARE
from alpaca_pipe.report.chapters.base import ReportChapter, Told
from alpaca_pipe.report.facts import Facts

_PARTS = ("rules", "habits", "forgetting", "refusals")
_TONES = {"better": "won", "worse": "lost", "maybe worse": "lost", "maybe better": "won"}
_MARKS = {"better": "✓", "worse": "✗", "maybe worse": "✗?", "maybe better": "✓?"}


def _told(facts: Facts) -> Told | None:
    found = facts.evaluation
    rows = [row for part in _PARTS for row in (found.get(part) or {}).get("compared", ())]
    if not rows:
        return None
    return {
        "sentence": str(found.get("worse_sentence", "")),
        "worse": list(found.get("worse", ())),
        "forgotten": list((found.get("forgetting") or {}).get("forgotten", ())),
        "rows": [_row(row, rows[at - 1]["suite"] if at else "") for at, row in enumerate(rows)],
        "least": _least(rows[0]),
        "words": _words(found.get("habits") or {}),
    }


def _least(row: Mapping[str, Any]) -> str:
    """A row of before 2026-12 knows no smallest difference."""
    if "min_difference" not in row:
        return ""
    return f" A difference of less than {SHARE.said(row['min_difference'])} does not count."


def _row(row: Mapping[str, Any], suite_before: str) -> dict[str, str]:
    gap, word = row["difference"], str(row["word"])
    return {
        "suite": row["suite"] if row["suite"] != suite_before else "",
        "name": row["name"],
        "rows": f"{row['rows']:,}",
        "base": f"{row['base']:.0%}",
        "tuned": f"{row['tuned']:.0%}",
        "gap": _signed(gap["mean"]),
        "around": f"{_signed(gap['lo'])} to {_signed(gap['hi'])}",
        "tone": _TONES.get(word, "unsure"),
        "mark": _MARKS.get(word, "="),
        "word": word,
    }


def _signed(share: float) -> str:
    return f"{share * 100:+.0f}".replace("-", "−")


def _words(habits: Mapping[str, Any]) -> str:
    if not habits.get("rows"):
        return ""
    median = habits["median_words"]
    return (
        f"Words in an answer, the middle one: {median['wanted']:g} wanted, {median['base']:g} by the base, "
        f"{median['tuned']:g} by the tuned model."
    )


CHANGES = ReportChapter("changes", 12, _told, "changes_chapter.html.j2")
