"""What a judge was not asked about, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def left_out(asked: Mapping[str, Any]) -> Iterator[str]:
    """asked: `JudgeSet.to_summary`, also one of before a count was in it. Clauses, without their full stops."""
    without = asked.get("no_answer", 0)
    if long := asked.get("left_out", 0) - without:
        yield f"{long:,} prompts are left out: too long for one of the templates"
    if without:
        yield f"{without:,} prompts are left out: the file has no answer to them"
    if turns := asked.get("turns_left_out", 0):
        yield f"{turns:,} later turns are left out: a template holds one exchange, or has no room for them"
