"""A scripted teacher: our own server in a child process, asked through the very client that real ones are."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.teachers.local.child_process import Child, serving


@contextlib.asynccontextmanager
async def rehearsed_server(
    *, lines: Path | None, delay: float, served: Path | None, port: int | None, log: Path
) -> AsyncIterator[Child]:
    """Serves recorded `lines` (see `recorded`), or the built-in script, at 127.0.0.1 until the block ends.

    delay: seconds before each reply.  served: file that gets one JSON line for each request that was answered.  Files and
    batches that it is given lie beside the log.
    """
    settings = {
        "lines": str(lines) if lines else None,
        "delay": delay,
        "served": str(served) if served else None,
        "port": port,
        "folder": str(log.parent / "batches"),
    }
    async with serving(
        "alpaca_pipe.teachers.scripted.scripted_server", settings, log, "the scripted teacher"
    ) as child:
        yield child


def recorded(request: Request, completion: Completion) -> dict[str, Any]:
    """A reply as a line of a recording, found again by what was asked, whoever is asked."""
    return {
        "asked": digest_of(request.asked()),
        "text": completion.text,
        "finish": completion.finish,
        "usage": asdict(completion.usage),
        "model_said": completion.model_said,
        "fingerprint": completion.fingerprint,
    }
