"""The scripted teacher's server as a task of the loop that asks it, in place of a process of its own: the same HTTP, and a
third of a second less for each run. For tests that are not about that process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from unittest import mock

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.local.child_process import Child


class _NoProcess:
    """Never ends."""

    pid, returncode = os.getpid(), None

    async def wait(self) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def serving_here(
    module: str, settings: Mapping[str, Any], log: Path, what: str
) -> AsyncIterator[Child]:
    """In the place of child_process.serving."""
    from alpaca_pipe.teachers.scripted import scripted_server

    assert module == scripted_server.__name__
    log.parent.mkdir(parents=True, exist_ok=True)
    word: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    runners: list[Any] = []
    of_aiohttp = scripted_server.web.AppRunner

    def runner(*of: Any, **more: Any) -> Any:
        runners.append(of_aiohttp(*of, shutdown_timeout=0.1, **more))
        return runners[-1]

    with (
        mock.patch.object(scripted_server, "lifeline", lambda: word.set_result),
        mock.patch.object(scripted_server.web, "AppRunner", runner),
    ):
        server = asyncio.create_task(scripted_server.serve(settings))
        await asyncio.wait({server, word}, return_when=asyncio.FIRST_COMPLETED)
    try:
        said = await word
        if "url" not in said:
            raise UserError(f"{said['what']}; its log: {log}", said["cure"])
        yield Child(what, said["url"], log, cast(Any, _NoProcess()), said["key"])
    finally:
        server.cancel()
        for one in runners:
            await one.cleanup()
