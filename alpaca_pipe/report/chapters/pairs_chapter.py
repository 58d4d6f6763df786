"""How preference pairs came about: the funnel from prompts to pairs, and how far their answers are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.report.chapters.base import ReportChapter, Told, with_figures

_BY = {
    "tuned": "by the tuned model",
    "teacher": "by a teacher",
    "kept": "as the rows kept them",
}


def pairs_made(summary: Mapping[str, Any]) -> Told | None:
    """None where none were made."""
    if not summary:
        return None
    return with_figures("Where the preferences come from", list(_sentences(summary)), [])


def _sentences(told: Mapping[str, Any]) -> Iterator[str]:
    compared = f", compared by {told['judge']}" if told.get("judge") else ""
    distinct = told.get("distinct", told["answers"])
    apart = f" ({distinct:,} of them distinct)" if distinct < told["answers"] else ""
    yield (
        f"{told['rows']:,} rows, {told['answers']:,} answers {_BY[told['answers_by']]}{apart}{compared}: {told['pairs']:,} pairs, "
        f"{told['ties']:,} ties."
    )
    for reason, count in (told.get("lost") or {}).items():
        yield f"{count:,} gave no pair: {reason}."
    if told.get("left_out"):
        yield f"{told['left_out']:,} rows could not be read and are left out."
    if told.get("unread_replies"):
        yield f"{told['unread_replies']:,} judgements could not be read."
    if told.get("margin") is not None:
        yield f"The better answer is {told['margin']:.2f} above the worse one on average, of 1."
    if told.get("longer") is not None:
        yield (
            f"In {told['longer']:.0%} of the pairs the better answer is the longer one: far from a half, length is a part of "
            "what is learned."
        )


PAIRS = ReportChapter("pairs", 61, lambda facts: pairs_made(facts.pairs))
