"""A port of this machine: taken, answered at, and given back when a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from aiohttp.web import Application

# of each answer, beside the policy that a page carries itself
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Address(NamedTuple):
    """Where to listen. port 0: any that is free."""

    host: str
    port: int


class Stop(Exception):
    """Ctrl-C, SIGTERM, or a terminal that went."""


@contextlib.contextmanager
def taken_port(address: Address) -> Iterator[socket.socket]:
    """Taken before anything slow is done, so that a port in use is known at once. Raises UserError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            taken.bind((address.host, address.port))
            taken.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                what = f"port {address.port} of this machine is in use"
            elif error.errno == errno.EACCES:
                what = f"port {address.port} is not yours to take"
            else:
                what = f"{address.host} port {address.port} cannot be listened at: {error.strerror or error}"
            raise UserError(
                what, "name another one with --port, or 0 for any that is free"
            ) from None
        yield taken


def url_of(host: str, taken: socket.socket) -> str:
    """The address that a browser of this machine is given."""
    port = taken.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


@contextlib.asynccontextmanager
async def until_signal() -> AsyncIterator[None]:
    """Raises Stop out of the block when a signal comes; a second one changes nothing, for the end takes seconds."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    asked = asyncio.Event()

    def stop() -> None:
        if not asked.is_set() and task is not None:
            asked.set()
            task.cancel()

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else nohup asked us to go on
        heard.append(signal.SIGHUP)
    for number in heard:
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
        raise Stop from None


@contextlib.asynccontextmanager
async def answering(app: Application, taken: socket.socket) -> AsyncIterator[None]:
    """The app answers at the port while the block runs."""
    from aiohttp import web

    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, taken).start()
        yield
    finally:
        await runner.cleanup()
