"""A small wiki of our own writing, and an endpoint whose model works in the form by a few rules: both over HTTP, on this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

# Written by us for these tests; the figure of Paris is that of 1 January 2023, a fact.
PAGES = {
    "Paris": "Paris is the capital of France. On 1 January 2023 it had an estimated population of 2,248,780 on an area "
    "of more than 105 square kilometres.",
    "Paris, Texas": "Paris is a city in Lamar County in the state of Texas. Its population was 24,171 in 2020.",
    "Lyon": "Lyon lies where the Rhône meets the Saône. Its city had a population of 520,774 in 2021.",
}


@contextmanager
def listening(answer: Callable[[str, bytes], tuple[int, Any]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(b"")

        def do_POST(self) -> None:
            self._say(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _say(self, body: bytes) -> None:
            status, value = answer(self.path, body)
            said = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None: ...

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None: ...  # a client that hangs up is none

    server = Quiet(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def wiki(path: str, body: bytes) -> tuple[int, Any]:
    """MediaWiki's action=query with generator=search and prop=extracts, formatversion 2; the page with most of the words first."""
    split = urlsplit(path)
    said = {name: values[0] for name, values in parse_qs(split.query).items()}
    if split.path != "/w/api.php" or said["generator"] != "search" or said["prop"] != "extracts":
        return 404, {}
    words = set(re.findall(r"\w+", said["gsrsearch"].lower()))

    def fits(title: str) -> int:
        return len(words & set(re.findall(r"\w+", f"{title} {PAGES[title]}".lower())))

    found = sorted(
        (title for title in PAGES if words & set(re.findall(r"\w+", title.lower()))),
        key=lambda title: (-fits(title), len(title)),
    )
    if not found:
        return 200, {"batchcomplete": True}
    pages = [
        {"pageid": number, "ns": 0, "title": title, "index": number, "extract": PAGES[title]}
        for number, title in enumerate(found, 1)
    ]
    return 200, {"batchcomplete": True, "query": {"pages": pages[::-1]}}


def model(path: str, body: bytes) -> tuple[int, Any]:
    """Asks the wiki, calculates with what it read, and answers with what was calculated. It sees messages, and nothing else."""
    said = json.loads(body)
    last = said["messages"][-1]["content"]
    if last.startswith("Question: "):
        text = "Thought: I need the population of Paris.\nAction: search_wikipedia[population of Paris]"
        text += "\nObservation: Paris has 1 inhabitant."  # made up: a small model goes on
    elif found := re.search(r"population of ([\d,]+)", last):
        text = f"Thought: Now its square.\nAction: calculator[{found[1]} ** 2]"
    else:
        number = int(last.removeprefix("Observation: "))
        text = f"Thought: I know the answer.\nAnswer: {number:,}"
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return 200, {"id": "x", "model": "worker", "choices": [choice], "usage": usage}
