"""A server that answers in any bytes at all: whatever a script writes to the socket, HTTP or not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request as it came. number: from 0."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[Asked], AsyncIterator[bytes]]


@dataclass
class Hostile:
    """url: up to /v1.  asked: what came.  sent: bytes that somebody took of each answer."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


@contextlib.contextmanager
def hostile(script: Script) -> Iterator[Hostile]:
    """Serves on 127.0.0.1, in a thread of its own, until the block ends."""
    server, up, stop = Hostile(), threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError, OSError
        ):
            while True:
                asked = await _request(reader, len(server.asked))
                server.asked.append(asked)
                server.sent.append(0)
                async for piece in script(asked):
                    writer.write(piece)
                    await writer.drain()
                    server.sent[asked.number] += len(piece)
                    if not piece:  # the end of a connection
                        return
        writer.close()

    async def serve() -> None:
        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        up.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
        listening.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    up.wait()
    try:
        yield server
    finally:
        stop.set()
        thread.join(10)
        loop.close()


async def _request(reader: asyncio.StreamReader, number: int) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:])
        if name
    }
    length = int(headers.get("content-length", "0"))
    return Asked(number, method, path, headers, await reader.readexactly(length))


def head(status: int = 200, *lines: str, reason: str = "OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} {reason}", *lines, "", ""]).encode()


def whole(body: bytes, *lines: str, status: int = 200) -> bytes:
    return head(status, f"Content-Length: {len(body)}", *lines) + body


def chat(text: str = "fine", usage: Any = None, **fields: Any) -> bytes:
    """The JSON of an honest reply."""
    said = {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": usage or {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
    return json.dumps(said | fields).encode()
