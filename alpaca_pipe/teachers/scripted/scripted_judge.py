"""What the scripted teacher says where it is asked to judge: by rules that anybody can check, the same every time.

An answer loses by its faults: it is empty, says the question again, goes round in circles, or ends in the middle of a sentence.
Of two with the same faults the one is better that holds clearly more of the question's words. It cannot tell right from wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any

_WORD = re.compile(r"\w{4,}")
_ENDED = re.compile(r"[.!?:;)\]}`\"'”’*|>。！？]\s*\Z")
_SHORT = 60  # characters; an answer of a few words needs no full stop
_CLEARLY = 0.15  # share of the question's words


def judgement(question: str) -> str | None:
    """The reply to a comparison of two answers or to one answer, as evaluate's judge is asked; None to anything else."""
    if not question.startswith("{"):
        return None
    try:
        row = json.loads(question)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("question"), str):
        return None
    if all(isinstance(row.get(name), str) for name in ("A", "B")):
        return json.dumps(_better(row))
    if isinstance(row.get("answer"), str):
        return json.dumps(_grade(row))
    return None


def lot(system: str, chance: Random) -> str | None:
    """The reply where a question of the user's own is asked, whose fields nobody here knows; None to anything else."""
    if '{"better": "A", "B" or "tie"' in system:
        return json.dumps({"better": chance.choice(("A", "B", "tie")), "reason": "Drawn by lot."})
    if '{"grade": whole number from 1 to 10' in system:
        return json.dumps({"grade": chance.randint(1, 10), "reason": "Drawn by lot."})
    return None


def faults(asked: str, answer: str) -> tuple[str, ...]:
    """What anybody would hold against an answer without knowing the matter."""
    text = answer.strip()
    if not text:
        return ("it is empty", "it says nothing", "it helps nobody")
    found = []
    if " ".join(asked.split()).casefold() in " ".join(text.split()).casefold():
        found.append("it says the question again")
    if _circles(text):
        found.append("it goes round in circles")
    if len(text) > _SHORT and not _ENDED.search(text):
        found.append("it ends in the middle")
    return tuple(found)


def _circles(text: str) -> bool:
    """Whether more than a third of its runs of three words were there before."""
    words = text.casefold().split()
    runs = [*zip(words, words[1:], words[2:], strict=False)]
    return len(runs) >= 6 and len(set(runs)) * 3 < len(runs) * 2


def _held(asked: str, answer: str) -> float:
    """The share of the question's longer words that the answer takes up."""
    wanted = set(_WORD.findall(asked.casefold()))
    return len(wanted & set(_WORD.findall(answer.casefold()))) / len(wanted) if wanted else 0.0


def _better(row: Mapping[str, Any]) -> dict[str, str]:
    asked = row["question"]
    of = {name: faults(asked, row[name]) for name in ("A", "B")}
    if len(of["A"]) != len(of["B"]):
        worse = "A" if len(of["A"]) > len(of["B"]) else "B"
        return {"better": "B" if worse == "A" else "A", "reason": f"Of the other, {of[worse][-1]}."}
    apart = _held(asked, row["A"]) - _held(asked, row["B"])
    if abs(apart) < _CLEARLY:
        return {"better": "tie", "reason": "By these rules neither is better."}
    return {"better": "A" if apart > 0 else "B", "reason": "It takes up more of what was asked."}


def _grade(row: Mapping[str, Any]) -> dict[str, Any]:
    asked, answer = row["question"], row["answer"]
    found = faults(asked, answer)
    grade = round(4 + 6 * _held(asked, answer)) - 3 * len(found)
    reason = f"By these rules {found[0]}." if found else "By these rules nothing is wrong with it."
    return {"grade": max(1, min(10, grade)), "reason": reason}
