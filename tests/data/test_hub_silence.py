"""A hub that answers 503 to everything, and what stands on the screen meanwhile: one line, and then one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class Busy(BaseHTTPRequestHandler):
    def log_message(self, *said: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_GET


@pytest.fixture
def busy() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# The client waits 23 s between its repeats; nobody needs to wait for that.
BEGIN = "import time; time.sleep = lambda seconds: None\n"
ROWS = """
from alpaca_pipe.data.hub import hub_rows
from alpaca_pipe.data.source_kinds import HubId
ask = lambda: list(hub_rows(HubId.of("hub:me/rows")))
"""
TOKENIZER = """
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.weights.base import Checkpoint
ask = lambda: load_tokenizer(Checkpoint("me/tiny", "a" * 40))
"""
END = """
from alpaca_pipe.core.errors import UserError
try:
    ask()
except UserError as error:
    print(error.what)
    print(error.cure)
"""


@pytest.mark.parametrize(
    ("code", "what", "cure"),
    [
        (ROWS, "hub:me/rows: cannot be fetched: the hub does not answer", "name the folder"),
        (TOKENIZER, "me/tiny is not on this machine, and the hub cannot be reached", "FOLDER"),
    ],
    ids=["rows", "tokenizer"],
)
def test_its_repeats_are_one_line(
    busy: str, tmp_path: Path, code: str, what: str, cure: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code + END],
        text=True,
        capture_output=True,
        check=True,
        env=os.environ
        | {
            "HF_ENDPOINT": busy,
            "HF_HOME": str(tmp_path),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
        },
    )
    told, to_do = done.stdout.splitlines()
    assert what in told and cure in to_do
    assert done.stderr.splitlines() == [
        "the hub does not answer yet; it is asked again for up to half a minute"
    ]
