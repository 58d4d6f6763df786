"""Answers that a teacher gives: metered, stored with their cost, and never paid for twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.example import Example
from alpaca_pipe.pairs.config import PairsConfig
from alpaca_pipe.pairs.prompts import PromptAnswer, as_messages
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.rounds import USUAL, at_once, together


async def ask_all(
    rows: Sequence[Example],
    config: PairsConfig,
    teacher: Teacher,
    tick: Callable[[int], None] = lambda done: None,
) -> list[list[PromptAnswer]]:
    """num_generations answers to each row's prompt, in order, each a draw of its own; those that were refused, failed or came
    without a text are left out. Raises what asking raises; every reply that came until then is stored."""
    each = config.num_generations
    asking = [
        Request(as_messages(row), _decoding(config, teacher.takes), sample)
        for row in rows
        for sample in range(each)
    ]
    replies: list[Completion] = []
    size = at_once(config.teacher) if config.teacher else USUAL
    for start in range(0, len(asking), size):
        replies += await together(
            [teacher.ask(one) for one in asking[start : start + size]],
            lambda heard, before=start: tick(before + heard),  # type: ignore[misc]
        )
    found = []
    for place in range(len(rows)):
        own = [reply.for_the_reader() for reply in replies[place * each : (place + 1) * each]]
        found.append(
            [
                PromptAnswer(one.text.strip(), one.finish == "stop")
                for one in own
                if one.finish in ("stop", "length")
            ]
        )
    return found


def _decoding(config: PairsConfig, takes: frozenset[str]) -> dict[str, Any]:
    wanted: dict[str, Any] = {"max_tokens": config.max_completion_length}
    if "temperature" in takes or "temperature" in config.model_fields_set:
        wanted["temperature"] = config.temperature
    return wanted
