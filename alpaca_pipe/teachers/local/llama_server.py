"""A GGUF on this machine as teacher: llama.cpp's OpenAI-compatible server in a child process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.local.child_process import Child, serving


@contextlib.asynccontextmanager
async def local_server(
    gguf: Path,
    *,
    name: str,
    parallel: int,
    context: int,
    port: int | None,
    threads: int | None,
    log: Path,
) -> AsyncIterator[Child]:
    """Serves a GGUF at 127.0.0.1 until the block ends.

    parallel: requests answered at once.  context: tokens for each of them, prompt and reply together.
    name: what the server says it serves.  threads: of computation; default all cores but one.  log: llama.cpp's own log is appended here.
    """
    try:
        import xllamacpp  # noqa: F401  (only the child uses it)
    except ImportError:
        raise UserError(
            "a local teacher needs the package xllamacpp", "pip install 'alpaca-pipe[local]'"
        ) from None
    settings = {
        "gguf": str(gguf),
        "name": name,
        "parallel": parallel,
        "context": context,
        "port": port,
        "threads": threads or spare_cores(),
    }
    async with serving(
        "alpaca_pipe.teachers.local.local_server_child", settings, log, "the local server"
    ) as child:
        yield child


def spare_cores() -> int:
    """All cores but one. llama.cpp's threads spin while they wait for each other: where every core has one and
    anything else runs, 2 threads on 2 cores made 1.7 tokens/s, one thread 50 (four requests at once)."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, cores - 1)
