"""Requests asked in rounds: all of a round at once, as many in flight as the teacher's pace allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.teachers.config import TeacherTable

# requests of a round; their replies are read in the order of the requests, so that this changes no result
USUAL = 2048


async def together(
    asking: Sequence[Coroutine[Any, Any, Completion]],
    heard: Callable[[int], None] = lambda count: None,
) -> list[Completion]:
    """The replies in the order of the requests. The first error ends it; what is in flight is kept. heard: is told how many
    replies there are, at each of them: a round may take an hour."""
    count = 0

    async def told(one: Coroutine[Any, Any, Completion]) -> Completion:
        nonlocal count
        reply = await one
        count += 1
        heard(count)
        return reply

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(told(one)) for one in asking]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def at_once(teacher: TeacherTable) -> int:
    """Requests of a round: of a batch, as many as it takes."""
    return teacher.batch_rules.most_requests if teacher.by_batch else USUAL
