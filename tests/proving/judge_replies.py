"""What a judge with a character says to a comparison of two answers, or to one answer; None to anything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

FIRST, LONGER, TIE = "first", "longer", "tie"


def judgement(asked: str, body: Mapping[str, Any], character: str, broken: float) -> str | None:
    """character: "first" always takes the first answer, "longer" the longer one, "tie" none. broken: share of replies, by
    lot of the question, that say nothing that could be read."""
    try:
        row = json.loads(body["messages"][-1]["content"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if not character or not isinstance(row, dict) or "question" not in row:
        return None
    if Random(f"broken {asked}").random() < broken:
        return "Both have their merits, as I said before"
    if "answer" in row:
        return json.dumps({"grade": min(10, 1 + len(row["answer"]) // 20), "reason": "By length."})
    longer = "A" if len(row["A"]) > len(row["B"]) else "B"
    if len(row["A"]) == len(row["B"]):
        longer = "tie"
    better = {FIRST: "A", LONGER: longer, TIE: "tie"}[character]
    return json.dumps({"better": better, "reason": "It reads well."})
