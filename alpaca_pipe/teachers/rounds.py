"""Requests asked in rounds: all of a round at once, as many in flight as the teacher's pace allows."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.teachers.config import TeacherTable

# requests of a round; their replies are read in the order of the requests, so that this changes no result
USUAL = 2048


async def together(asking: Sequence[Coroutine[Any, Any, Completion]]) -> list[Completion]:
    """The replies in the order of the requests. The first error ends it; what is in flight is kept."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in asking]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def at_once(teacher: TeacherTable) -> int:
    """Requests of a round: of a batch, as many as it takes."""
    return teacher.batch_rules.most_requests if teacher.by_batch else USUAL
