"""The best and the worst answer of each prompt as a pair; what gives none is counted by its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.pairs.config import PairsConfig
from alpaca_pipe.pairs.prompts import PromptAnswer, preference
from alpaca_pipe.pairs.scoring_answers import Scores


@dataclass
class Chosen:
    """pairs: with margin, scores and whether each ended by itself in their origin. ties: rows of prompts whose answers nobody could tell apart. lost: reason
    -> prompts that gave no pair for another reason."""

    pairs: list[Preference] = field(default_factory=list)
    ties: list[dict[str, Any]] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)


def distinct(answers: Sequence[PromptAnswer]) -> list[PromptAnswer]:
    """Those that say something, each text once."""
    found = {one.text: one for one in reversed(answers) if one.text.strip()}
    return [one for one in answers if found.get(one.text) is one]


def choose(
    rows: Sequence[Example],
    answers: Sequence[Sequence[PromptAnswer]],
    scores: Sequence[Scores],
    config: PairsConfig,
) -> Chosen:
    """answers: the distinct ones of each row; scores: theirs."""
    found = Chosen()
    for row, own, given in zip(rows, answers, scores, strict=True):
        known = [(one, score) for one, score in zip(own, given, strict=True) if score is not None]
        if len(own) < 2:
            found.lost["its answers are all the same, or empty"] += 1
        elif len(known) < 2:
            found.lost["the judge could not be read"] += 1
        else:
            best = max(known, key=lambda pair: pair[1])
            worst = min(known, key=lambda pair: pair[1])
            margin = best[1] - worst[1]
            said = {
                "margin": round(margin, 6),
                "scores": [round(best[1], 6), round(worst[1], 6)],
                "judge": config.judged_by,
            }
            if margin <= 0 or margin < config.least_margin:
                found.ties.append({"id": row.id, "answers": [one.text for one in own], **said})
            else:
                ended = [best[0].ended, worst[0].ended]
                both = best[0].text, worst[0].text
                found.pairs.append(preference(row, *both, said | {"ended": ended}))
    return found
