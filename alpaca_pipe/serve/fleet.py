"""The engines that run: each is started when its model is first asked for, and all of them end together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.serve.engines.base import EngineSettings, ServingEngine
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.teachers.local.child_process import Child


@dataclass
class Fleet:
    """One engine a model. models: by the name that clients use, found when they are first asked for; the one that is meant by
    default first."""

    engine: ServingEngine
    how: EngineSettings
    models: Mapping[str, Callable[[], ModelChoice]]
    stack: AsyncExitStack
    choices: dict[str, ModelChoice] = field(default_factory=dict)
    died: asyncio.Future[Child] = field(default_factory=asyncio.Future)
    _running: dict[str, Child] = field(default_factory=dict)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _watching: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def first(self) -> str:
        return next(iter(self.models))

    async def child(self, name: str) -> Child:
        """The running engine of a model, started if it must be. Raises UserError."""
        async with self._starting:
            if name not in self._running:
                choice = self.choices[name] = await asyncio.to_thread(self.models[name])
                if missing := self.engine.missing(choice):
                    raise UserError(*missing)
                opened = self.engine.open(choice, self.how)
                child = self._running[name] = await self.stack.enter_async_context(opened)
                self._watching.append(asyncio.create_task(self._watch(child)))
            return self._running[name]

    async def _watch(self, child: Child) -> None:
        await child.process.wait()
        if not self.died.done():
            self.died.set_result(child)
