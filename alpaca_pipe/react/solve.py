"""The loop: ask, do what is asked for, tell what was found, until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.react.steps import observed, read_step, system_text
from alpaca_pipe.react.tools import Tool

MOST_STEPS = 8
Ask = Callable[[str, Sequence[Message]], Awaitable[str]]


@dataclass(frozen=True)
class Solved:
    """messages: question, steps and observations, the last one the model's. answer: None where it came to none in time."""

    system: str
    messages: tuple[Message, ...]
    answer: str | None

    def example(self, origin: Origin) -> Example:
        """As a row: observations are a user's messages, so that no loss sees them."""
        return Example.of_messages(self.messages, origin, self.system)


async def solve(
    question: str,
    tools: Sequence[Tool],
    ask: Ask,
    *,
    most: int = MOST_STEPS,
    tell: Callable[[str], None] = lambda said: None,
) -> Solved:
    """ask: given the system text and the messages so far, what the model says next. tell: hears each step and observation."""
    system = system_text(tools)
    said = [Message("user", f"Question: {question}")]
    for _ in range(most):
        step = read_step(await ask(system, said))
        tell(step.text)
        said.append(Message("assistant", step.text))
        if step.answer is not None:
            return Solved(system, tuple(said), step.answer)
        found = await asyncio.to_thread(observed, step, tools)
        tell(found)
        said.append(Message("user", found))
    return Solved(system, tuple(said[:-1]), None)
