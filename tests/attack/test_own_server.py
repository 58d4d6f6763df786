"""A server of our own answers us: whatever else on this machine asks it, a page in a browser too, gets no answer."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.error
import urllib.request
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from alpaca_pipe.teachers.kinds.rehearsed import RehearsedTable
from alpaca_pipe.teachers.local.child_process import Child
from alpaca_pipe.teachers.local.llama_server import local_server
from alpaca_pipe.weights.known import KNOWN

ASKED = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "Say hi"}], "max_tokens": 4}
).encode()


def status(url: str, body: bytes | None = None, **headers: str) -> int:
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(asked, timeout=60) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def command_line(pid: int) -> str:
    """As `ps` shows it to everybody."""
    shown = subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return shown.stdout


async def asked_by_others(server: AbstractAsyncContextManager[Child]) -> None:
    async with server as child:
        chat, ours = f"{child.url}/chat/completions", {"Authorization": f"Bearer {child.key}"}
        assert await asyncio.to_thread(status, chat, ASKED, **ours) == 200
        for headers in (
            {},
            {"Host": "evil.example"},
            {"Host": "evil.example", "Origin": "http://evil.example"},
            {"Authorization": "Bearer none"},
            {"Authorization": f"Bearer {child.key}x"},
        ):
            assert await asyncio.to_thread(status, chat, ASKED, **headers) == 401
        root = child.url.removesuffix("/v1")
        for path in ("/slots", "/props", "/metrics", "/v1/models", "/v1/files", "/completion"):
            assert await asyncio.to_thread(status, root + path) in (401, 404)
        seen = await asyncio.to_thread(command_line, child.process.pid)
        assert child.key not in seen


def test_a_rehearsal_answers_nobody_else(tmp_path: Path) -> None:
    table = RehearsedTable.model_validate({"kind": "rehearsed", "model": "m"})
    server = table.own_server(tmp_path / "log")
    asyncio.run(asked_by_others(server))


def test_it_answers_to_its_own_name_only(tmp_path: Path) -> None:
    async def main() -> None:
        table = RehearsedTable.model_validate({"kind": "rehearsed", "model": "m"})
        async with table.own_server(tmp_path / "log") as child:
            ours = {"Authorization": f"Bearer {child.key}", "Host": "evil.example"}
            chat = f"{child.url}/chat/completions"
            assert await asyncio.to_thread(status, chat, ASKED, **ours) == 421

    asyncio.run(main())


@pytest.mark.local
def test_llama_cpp_answers_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alpaca_pipe.weights.gguf import cached_path, open_gguf

    monkeypatch.delenv("ALPACA_PIPE_CACHE")  # the user's own, where the model is
    if not cached_path(next(iter(KNOWN.values()))).is_file():
        pytest.skip("the embedded model is not here: `alpaca-pipe setup local` fetches it")
    gguf = open_gguf(next(iter(KNOWN)))
    server = local_server(
        gguf, name="m", parallel=1, context=512, port=None, threads=1, log=tmp_path / "log"
    )
    asyncio.run(asked_by_others(server))
