"""What a judge, or a person, preferred: the tuned model's answers or the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.evaluate.judge.judge_words import around, even_in_words, its_choices, unsteady
from alpaca_pipe.evaluate.judge.left_out import left_out
from alpaca_pipe.report.chapters.base import ReportChapter, Told
from alpaca_pipe.report.facts import Facts


def _told(facts: Facts) -> Told | None:
    judge, people = facts.evaluation.get("judge"), facts.evaluation.get("people")
    if not judge:
        return None
    graded = judge["mode"] == "grades"
    sides = [(f"judge: {judge['judge']}", judge)] if not graded else []
    sides += [("people", people)] if people else []
    return {
        "sentences": [
            *(_graded(judge) if graded else _asked(judge)),
            *(f"{said}." for said in left_out(facts.evaluation.get("to_judge") or {})),
        ],
        "rows": [_row(name, found) for name, found in sides if found.get("rate") is not None],
        "categories": [
            {"name": name, "pairs": one["pairs"], "rate": around(one)}
            for name, one in (judge.get("by_category") or {}).items()
        ],
    }


def _asked(judge: Mapping[str, Any]) -> Iterator[str]:
    against = "the base's" if judge["against"] == "base" else "those in the file of prompts"
    yield (
        f"{judge['pairs']:,} pairs of answers, the tuned model's and {against}, each asked about in both orders without a word "
        f"of whose is whose: {judge['wins']:,} won, {judge['losses']:,} lost, {judge['ties']:,} ties"
        + (f", {judge['same']:,} of them the same word for word." if judge["same"] else ".")
    )
    if judge["first"] is not None:
        yield (
            f"The judge {its_choices(judge)}{unsteady(judge)}. "
            f"The tuned answer was the longer one in {judge['longer'] or 0:.0%}."
        )
    if judge["unread"]:
        yield (
            f"{judge['unread_replies']:,} of {judge['requests']:,} replies could not be read, and {judge['unread']:,} pairs are "
            f"left out for that; were they all lost, or all won, the rate would be {judge['at_worst']:.0%}, or {judge['at_best']:.0%}."
        )


def _graded(judge: Mapping[str, Any]) -> Iterator[str]:
    mean, gap = judge["mean"], judge["difference"]
    if gap:
        yield (
            f"{judge['judge']} graded each answer alone, from 1 to 10: {mean['other']:.2f} on average for the others, "
            f"{mean['tuned']:.2f} for the tuned model; on the same {judge['compared']:,} prompts {gap['mean']:+.2f} "
            f"[{gap['lo']:+.2f}, {gap['hi']:+.2f}]."
        )
    if judge["unread_replies"]:
        yield f"{judge['unread_replies']:,} of {judge['requests']:,} replies could not be read."


def _row(name: str, found: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": name,
        "pairs": f"{found['pairs'] - found['unread']:,}",
        "rate": around(found.get("interval") or found["bootstrap"]),  # steps of before 2026-12
        "even": even_in_words(found)
        .removesuffix(" at equal length")
        .removeprefix("at equal length "),
    }


PREFERENCE = ReportChapter("preference", 14, _told, "preference_chapter.html.j2")
