"""A server that others wrote, for as long as a block lasts."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from alpaca_pipe.teachers.local.child_process import Child, serving


def outside_server(
    what: str, command: Sequence[str], port: int, ready: str, key: str, log: Path
) -> AbstractAsyncContextManager[Child]:
    """Starts the command and waits until `ready` (a path) answers. It ends with the block, and with us if we are killed."""
    address = f"http://127.0.0.1:{port}"
    settings = {
        "command": list(command),
        "url": f"{address}/v1",
        "ready": address + ready,
        "key": key,
    }
    return serving("alpaca_pipe.serve.engines.command_child", settings, log, what)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
