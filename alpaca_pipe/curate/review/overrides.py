"""Decisions by hand, laid over the rows as they come in: a person's word stands above every rule.

A row that was kept by hand passes the filters and is not dropped as a duplicate; one that was dropped by hand is gone
before anything else looks at it; an edit makes a new row, with its parent's id, which is kept. All else goes on as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.curate.repairs import free_id, repaired
from alpaca_pipe.curate.review.decisions import Decision, Decisions, row_of

RULE = "by_hand"


@dataclass(frozen=True)
class IncomingRow:
    """A row as it enters the judgement, after repairs and edits. before: as it came, where it is another one by now.
    said: the decision that holds for it; used: the ids whose decisions were followed to get there."""

    example: Example
    before: Example | None = None
    said: Decision | None = None
    used: tuple[str, ...] = ()
    edited: bool = False

    @property
    def dropped(self) -> bool:
        return self.said is not None and self.said.verdict == "drop"

    @property
    def kept(self) -> bool:
        """By hand, as it is or as it was edited."""
        return self.said is not None and self.said.verdict != "drop"

    @property
    def reason(self) -> str:
        return self.said.why if self.said and self.said.why else "dropped manually"


def coming(rows: Iterable[Example], repair: bool, decisions: Decisions) -> Iterator[IncomingRow]:
    """The rows, repaired where that is wanted and decided where a person did. Ids come out unique."""
    pairs = repaired(rows) if repair else ((row, None) for row in rows)
    if not decisions:
        yield from (IncomingRow(row, before) for row, before in pairs)
        return
    taken: set[str] = set()
    for row, before in pairs:
        one = _decided(row, before, decisions)
        name = free_id(one.example.id, taken)
        example = one.example if name == one.example.id else replace(one.example, id=name)
        late = decisions.by_id.get(example.id) if example.id != one.example.id else None
        if late and late.verdict != "edit":
            one = replace(one, said=late, used=(*one.used, late.id))
        yield replace(one, example=example)


def _decided(row: Example, before: Example | None, decisions: Decisions) -> IncomingRow:
    """Follows the decisions from the row as it came, or else as it was repaired, through every edit of an edit."""
    came = before or row
    said = decisions.about(came.id)
    if said:
        row = came  # what was decided on is this text, not what a repair makes of it
    else:
        said = decisions.about(row.id)
    used, seen, edited = list[str](), {row.id}, False
    while said and said.verdict == "edit":
        used.append(said.id)
        row, edited = _edited(row, said), True
        if row.id == came.id:  # edited back to what it was
            return IncomingRow(came, None, replace(said, verdict="keep"), tuple(used))
        following = decisions.about(row.id) if row.id not in seen else None
        seen.add(row.id)
        if not following:
            break
        said = following
    if said and said.id not in used:
        used.append(said.id)
    return IncomingRow(row, came if row.id != came.id else None, said, tuple(used), edited)


def _edited(row: Example, said: Decision) -> Example:
    rules = [
        rule
        for rule in str(row.origin.details.get("repair", "")).split(", ")
        if rule and rule != RULE
    ]
    details = {**row.origin.details, "repair": ", ".join([*rules, RULE])}
    return row_of(said.texts, replace(row.origin, parents=(row.id,), details=details))


@dataclass
class OverrideTally:
    """What the decisions came to. rows: of by_hand.jsonl, one for each row that a person decided on."""

    decisions: Decisions
    rows: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    used: set[str] = field(default_factory=set)

    def add(self, one: IncomingRow, despite: Rejected | None) -> None:
        """despite: how the row would have been dropped, had it not been kept by hand."""
        if one.said is None:
            return
        self.used.update(one.used)
        verdict = "drop" if one.dropped else "edit" if one.edited else "keep"
        self.counts[{"drop": "dropped", "edit": "edited", "keep": "kept"}[verdict]] += 1
        row: dict[str, Any] = {"id": one.example.id, "verdict": verdict, "decided": one.said.id}
        if despite:
            self.counts["rescued"] += 1
            row |= {"rule": despite.rule, "reason": despite.reason} | (
                {"nearest": despite.nearest} if despite.nearest else {}
            )
        self.rows.append(row)

    @property
    def gone(self) -> list[str]:
        """The ids of decisions about rows that did not come."""
        return sorted(self.decisions.by_id.keys() - self.used)

    def summary(self) -> dict[str, Any]:
        """kept, edited, dropped: rows; rescued: of the kept and edited ones, those that a rule would have dropped."""
        if not self.decisions:
            return {}
        return {
            "by_hand": {
                name: self.counts[name] for name in ("kept", "edited", "dropped", "rescued")
            }
            | {"gone": len(self.gone)}
        }

    def said(self) -> str:
        """A sentence about decisions that found no row; empty where all did."""
        if not (gone := self.gone):
            return ""
        named = ", ".join(gone[:3]) + (" ..." if len(gone) > 3 else "")
        return (
            f"{len(gone):,} of {len(self.decisions.by_id):,} manual decisions are about rows that did not come this time "
            f"({named}); they are kept for when they come again"
        )
