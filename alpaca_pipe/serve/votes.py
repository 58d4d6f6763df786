"""A person's votes on the chat page, as rows: a better answer over a worse one, or two answers that are good, or bad.

They are appended to one file, in the form that `curate` and `review` read, each on the disk before the page says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from alpaca_pipe.core.example import Message, Origin
from alpaca_pipe.core.preference import Preference

VOTES = ("a", "b", "good", "bad")


class NoVote(ValueError):
    """What was sent is no vote: why, in a part of a sentence."""


def vote_rows(said: Mapping[str, Any], models: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of one vote. said: prompt (messages), system, a and b (model, text), vote, blind.  models: what each stands for.

    Raises NoVote.
    """
    try:
        prompt = [Message.from_row(one) for one in said["prompt"]]
        sides = [(str(said[side]["model"]), str(said[side]["text"])) for side in "ab"]
        vote, system = said["vote"], str(said.get("system") or "")
        if vote not in VOTES or {model for model, _ in sides} - models.keys():
            raise NoVote("the vote or a model is unknown")
        found = list(_preferences(vote, prompt, sides, system))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NoVote(str(error)) from None
    about = {
        "vote": "both " + vote if vote in ("good", "bad") else sides["ab".index(vote)][0],
        "models": {model: models[model] for model, _ in sides},
        "blind": bool(said.get("blind")),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return [one.to_row() | about for one in found]


def _preferences(
    vote: str, prompt: list[Message], sides: list[tuple[str, str]], system: str
) -> Iterator[Preference]:
    answers = [[Message("assistant", text)] for _, text in sides]
    origins = [Origin("imported", f"chat with {model}") for model, _ in sides]
    if vote in ("a", "b"):
        better = "ab".index(vote)
        yield Preference.pair(prompt, answers[better], answers[1 - better], origins[better], system)
        return
    for answer, origin in zip(answers, origins, strict=True):
        yield Preference.labelled(prompt, answer, vote == "good", origin, system)
