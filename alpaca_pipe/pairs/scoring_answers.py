"""Each answer to a prompt as a number: by rules alone, or by how often a judge preferred it to the others."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair, Opinion
from alpaca_pipe.evaluate.judge.win_rates import scored
from alpaca_pipe.pairs.prompts import PromptAnswer, question

Scores = list[float | None]  # of each answer; None where nobody could be read


def by_rule(
    rows: Sequence[Example],
    answers: Sequence[Sequence[PromptAnswer]],
    rule: Callable[[str, str, bool], float],
    called: str,
) -> list[Scores]:
    """UserError for a rule that gives no number."""
    found: list[Scores] = []
    for row, own in zip(rows, answers, strict=True):
        asked = question(row)[0][-1]
        try:
            found.append([_finite(rule(asked, one.text, one.ended)) for one in own])
        except Exception as error:  # noqa: BLE001  it may be the user's code
            raise UserError(
                f"pairs.rule: {called} gives no number for the answers to row {row.id}: {type(error).__name__}: {error}",
                "it is called with (question, answer, ended), two texts and true or false",
            ) from None
    return found


def _finite(given: float) -> float:
    number = float(given)
    if not math.isfinite(number):
        raise ValueError(f"it gave {number}")
    return number


def to_compare(
    rows: Sequence[Example], answers: Sequence[Sequence[PromptAnswer]]
) -> list[AnswerPair]:
    """Every two answers of a prompt; `turn` numbers them within it."""
    found = []
    for row, own in zip(rows, answers, strict=True):
        asked, before = question(row)
        found += [
            AnswerPair(row.id, number, "", asked, (*before, one.text), (*before, other.text))
            for number, (one, other) in enumerate(combinations(own, 2))
        ]
    return found


def by_opinions(
    answers: Sequence[Sequence[PromptAnswer]], pairs: Sequence[AnswerPair], said: Sequence[Opinion]
) -> list[Scores]:
    """Of each answer the mean over the others of 1 for preferred in both orders, 0.5 for a tie or two orders that disagree, 0."""
    told = {(one.pair.prompt, one.pair.turn): one.score for one in scored(pairs, said)}
    asked, found = iter(pairs), list[Scores]()
    for own in answers:
        points: dict[int, list[float]] = defaultdict(list)
        for one, other in combinations(range(len(own)), 2):
            pair = next(asked)
            score = told.get((pair.prompt, pair.turn))
            if score is not None:
                points[one].append(score)
                points[other].append(1 - score)
        found.append(
            [
                sum(points[place]) / len(points[place]) if points[place] else None
                for place in range(len(own))
            ]
        )
    return found
