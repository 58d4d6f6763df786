"""Starts a proving server in a process of its own and speaks to its back door."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Proving:
    """A running server. url: for teachers, up to /v1.  books: its SQLite file (books.reading)."""

    url: str
    books: Path
    pid: int

    def weather(self, **changes: Any) -> None:
        """Changes settings of the running server."""
        self._call("/admin/weather", json.dumps(changes).encode())

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._call("/admin/state"))
        return state

    def quiet(self) -> None:
        """Returns when nothing is in flight and the books are on the disk."""
        self._call("/admin/quiet")

    def focus(self, file: Path) -> Path:
        """Writes what was billed so far as FOCUS CSV."""
        self.quiet()
        file.write_bytes(self._call("/books/focus.csv"))
        return file

    def costs(self, file: Path) -> Path:
        """The same as OpenAI's organization costs."""
        self.quiet()
        file.write_bytes(self._call("/books/costs.json"))
        return file

    def _call(self, path: str, body: bytes | None = None) -> bytes:
        address = self.url.removesuffix("/v1") + path
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            address, body, timeout=PATIENCE
        ) as answer:
            said: bytes = answer.read()
        return said


@contextmanager
def proving(books: Path, **settings: Any) -> Iterator[Proving]:
    """A server with these settings (settings.py) until the block ends."""
    command = [
        sys.executable,
        "-m",
        "tests.proving.server",
        json.dumps({"books": str(books), **settings}),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield Proving(json.loads(process.stdout.readline())["url"], books, process.pid)
        finally:
            process.stdin.close()
            process.wait(timeout=PATIENCE)
