"""Several answers to one prompt with a score or a rank each: the best one is chosen, the worst one rejected."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from alpaca_pipe.core.example import Message
from alpaca_pipe.data.shapes.base import About, NotHeld, ShapeFit
from alpaca_pipe.data.shapes.keys import name_of, plain
from alpaca_pipe.data.shapes.layout import Column, Layout
from alpaca_pipe.data.shapes.turns import answer_of

_SCORES = ("rank", "overall_score", "score", "scores", "rating", "ratings", "reward", "rewards")

_LOW_IS_GOOD = frozenset(
    [
        "rank",
        "toxicity",
        "toxic",
        "harm",
        "harmfulness",
        "bias",
        "error",
        "errors",
        "loss",
        "perplexity",
        "ppl",
        "penalty",
        "risk",
        "hallucination",
        "refusal",
    ]
)
_ENDINGS = frozenset((*_SCORES, "votes", "upvotes", "likes"))  # of a name: `pm_score`


def ranked_columns(layout: Layout) -> dict[str, Column | list[Column]] | None:
    """`generations` beside `ratings`; `response_a` and `score_a` beside their like; or `answers`, objects with a rank each."""
    answers = [one for one in layout.all("output", kinds=("texts", "objects")) if not one.variant]
    numbers = [one for one in layout.columns if one.kind == "other"]
    lists = [one for one in numbers if one.plain in _SCORES or is_low_good(one.plain)]
    if answers and answers[0].kind == "texts" and lists:
        return {"ranked": answers[0], "scores": lists[0]}
    if answers and answers[0].kind == "objects":
        return {"ranked": answers[0]}
    several = [one for one in layout.all("output") if one.variant]
    scored = {
        one.variant: one
        for one in layout.columns
        if one.variant and one.kind == "number" and _stem(one) in _SCORES
    }
    if len(several) > 1 and all(one.variant in scored for one in several):
        return {"ranked": several, "scores": [scored[one.variant] for one in several]}
    return None


def ranked_answers(
    row: Mapping[str, Any], fit: ShapeFit, about: About
) -> tuple[list[Message], list[Message]]:
    """(the best answer, the worst). Raises NotHeld where they cannot be told apart."""
    keys, scores = fit.keys("ranked"), fit.keys("scores")
    by_rank = bool(scores) and is_low_good(scores[0])
    if len(keys) > 1:
        found = [(row[score], row[key]) for key, score in zip(keys, scores, strict=True)]
    elif scores:
        if len(row[keys[0]]) != len(row[scores[0]]):
            raise NotHeld(f"'{keys[0]}' and '{scores[0]}' are not of one length")
        found = list(zip(row[scores[0]], row[keys[0]], strict=True))
    else:
        found, by_rank = _scored(row[keys[0]], keys[0])
    known = [
        (score, answer)
        for score, answer in found
        if isinstance(score, int | float) and not math.isnan(score) and answer
    ]
    known.sort(key=lambda one: one[0], reverse=not by_rank)
    if len(known) < 2 or known[0][0] == known[-1][0]:
        raise NotHeld(f"none of its {len(found)} answers is better than another")
    if len(known) > 2:
        about.say("of several ranked answers the best and the worst are read")
    return answer_of(known[0][1], keys[0], about), answer_of(known[-1][1], keys[0], about)


def _scored(answers: list[Any], key: str) -> tuple[list[tuple[Any, Any]], bool]:
    """((score, text) of each object, whether a low score is a good one)."""
    held = [one for one in answers if isinstance(one, dict)]
    score = next((name for name in _SCORES if any(name in one for one in held)), None)
    score = score or next(
        (key for one in held for key in one if plain(key).split("_")[-1] in _ENDINGS), None
    )
    if score is None:
        raise NotHeld(f"'{key}' holds {len(answers)} answers, and nothing says which is the best")
    found = []
    for one in held:
        names = sorted(one, key=lambda name: name_of(name).rank)
        text = next((one[n] for n in names if name_of(n).meaning in ("output", "text")), None)
        found.append((one.get(score), text))
    return found, is_low_good(score)


def is_low_good(key: str) -> bool:
    """`rank`, `toxicity_score`: of such figures the lowest is the best."""
    return bool(_LOW_IS_GOOD & set(plain(key).split("_")))


def _stem(column: Column) -> str:
    return column.plain.removesuffix(column.variant).rstrip("_")
