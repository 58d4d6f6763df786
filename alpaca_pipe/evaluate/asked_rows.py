"""Questions of ours as rows: what a template writes around a row is written around them too."""

from __future__ import annotations

from collections.abc import Sequence

from alpaca_pipe.core.example import Example, Message, Origin


def question(text: str) -> Example:
    """A prompt as a row; its answer is nobody's."""
    return Example.of(text, "", "-", Origin("seed", "evaluate"))


def conversation(turns: Sequence[str], answers: Sequence[str]) -> Example:
    """What was said, up to the turn after these answers; the last answer is nobody's."""
    if not answers:
        return question(turns[0])
    told = [
        message
        for asked, answer in zip(turns, [*answers, "-"], strict=False)
        for message in (Message("user", asked), Message("assistant", answer or "-"))
    ]
    return Example.of_messages(told, Origin("seed", "evaluate"))
