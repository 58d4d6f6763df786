"""A server of this machine that is told things, as a chat service's webhook is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Heard(ThreadingHTTPServer):
    """Answers with the statuses that are given, then 200; keeps what was posted."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Hearer)
        self.statuses, self.posted = list(statuses), list[dict[str, Any]]()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/a-secret-path"


class Hearer(BaseHTTPRequestHandler):
    server: Heard

    def log_message(self, *said: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)  # where it would go on to, without what it has to tell
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.server.posted.append(json.loads(self.rfile.read(size)))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def hearing() -> Iterator[Heard]:
    """It answers until the block ends."""
    server = Heard()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
