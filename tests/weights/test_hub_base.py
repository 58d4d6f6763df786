"""A base on the hub is asked for once, against a server that answers as the hub does; its silence is one line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.hub_repeats import repeats_told
from alpaca_pipe.weights.hub_base import ask_hub

SHA = "c" * 40
CODES = {
    "me/gated": (403, "GatedRepo"),
    "me/nothing": (404, "RepoNotFound"),
    "me/moved": (404, "RevisionNotFound"),
    "me/quantised": (404, "EntryNotFound"),
}


class Hub(BaseHTTPRequestHandler):
    def log_message(self, *said: object) -> None:
        pass

    def do_GET(self) -> None:
        name = "/".join(self.path.strip("/").split("/")[:2])
        status, code = CODES.get(name, (200, ""))
        content = b"" if code else b"{}"
        self.send_response(status)
        headers = {"Content-Length": str(len(content)), "ETag": '"1"', "X-Repo-Commit": SHA}
        for key, value in (headers | ({"X-Error-Code": code} if code else {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_that_is_there_is_only_looked_at(hub: str) -> None:
    said: list[str] = []
    ask_hub("me/model", "main", said.append, hub)
    assert said == []


@pytest.mark.parametrize(
    ("model", "what", "cure"),
    [
        ("me/gated", "accepted its terms", "HF_TOKEN"),
        ("me/nothing", "no model me/nothing", "look at its name"),
        ("me/moved", "no branch, tag or commit 'v2'", "leave base.revision out"),
        ("me/quantised", "no config.json", "the original model"),
    ],
)
def test_what_the_hub_says_against_it_is_one_sentence(
    hub: str, model: str, what: str, cure: str
) -> None:
    with pytest.raises(UserError) as caught:
        ask_hub(model, "v2", lambda sentence: None, hub)
    assert what in caught.value.what and cure in caught.value.cure


def test_without_a_network_it_says_where_the_model_could_come_from(
    hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="me/model is not on this machine") as caught:
        ask_hub("me/model", "main", lambda sentence: None, hub)
    assert "base.model=FOLDER" in caught.value.cure


def test_repeats_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    client, said = logging.getLogger("huggingface_hub.utils._http"), list[str]()
    with repeats_told(said.append):
        for attempt in range(1, 6):
            client.warning("Retrying in 1s [Retry %d/5].", attempt)
    assert len(said) == 1 and "half a minute" in said[0] and not caplog.records
    client.warning("again")
    assert len(said) == 1
