"""From replies to training rows: what came, what was dropped by which rule, what stayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alpaca_pipe.curate.review.overrides import RULE as BY_HAND
from alpaca_pipe.report.chapters.base import ReportChapter, Told
from alpaca_pipe.report.facts import Facts
from alpaca_pipe.report.funnel import by_hand_in_words


@dataclass(frozen=True)
class FunnelBar:
    """A line of the funnel. tone: came, dropped or kept; share: percent of what came first."""

    name: str
    count: int
    share: float
    tone: str


def _told(facts: Facts) -> Told | None:
    if not facts.funnel.stretches:
        return None
    return {**_funnel(facts), "faults": facts.funnel.faults}


def _funnel(facts: Facts) -> Mapping[str, Any]:
    found = facts.funnel
    rows, whole = [], max(found.first, 1)
    for part in found.stretches:
        came = (
            "candidates found in the replies" if part.kind == "generate" else "rows read by curate"
        )
        rows.append(FunnelBar(came, part.came, 100 * part.came / whole, "came"))
        rows += [
            FunnelBar("manual" if rule == BY_HAND else rule, count, 100 * count / whole, "dropped")
            for rule, count in sorted(part.dropped.items(), key=lambda item: -item[1])
        ]
        rows.append(FunnelBar(f"kept by {part.kind}", part.kept, 100 * part.kept / whole, "kept"))
    gone = sum(sum(part.dropped.values()) for part in found.stretches)
    replies = f"{found.requests:,} requests" if found.requests else ""
    stored = f" ({found.from_store:,} answered from our own store)" if found.from_store else ""
    split = (
        f" The kept rows were split into {found.train:,} to train on and {found.held_out:,} held out."
        if found.held_out
        else ""
    )
    if found.too_long:
        split += (
            f" {found.too_long:,} of those to train on were too long and dropped by train: "
            f"{found.trained:,} were trained on."
        )
    if found.left_out:
        split += f" {found.left_out:,} of the held-out ones were too long and left out by evaluate."
    repaired = f" {found.repaired:,} rows were repaired on the way." if found.repaired else ""
    by_hand = f" {by_hand_in_words(found.by_hand).capitalize()}." if found.by_hand else ""
    return {
        "rows": rows,
        "sentence": f"{replies}{stored}{'.' if replies else ''}{split}{repaired}{by_hand}".strip()
        or "Every row that went has a rule and a sentence in rejected.jsonl.",
        "check": f"It adds up: {found.first:,} = {found.last:,} kept + {gone:,} dropped, "
        "counted again in the files.",
    }


FUNNEL = ReportChapter("funnel", 30, _told, "funnel_chapter.html.j2")
