"""A key never reaches a file, a log line, a screen or a traceback, whatever a server sends back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from alpaca_pipe.core.files import shipped
from alpaca_pipe.core.secrets import holds_a_key
from alpaca_pipe.ledger.statements.exports import export_focus, export_jsonl
from alpaca_pipe.teachers.openai.http_attempt import DRAW
from alpaca_pipe.teachers.scripted.scripted_server import asked_of, scripted
from tests.command import command

# One that looks like a provider's key, one that looks like nothing in particular, one that JSON and URLs must escape.
KEYS = (
    "sk-proj-planted0123456789abcdefABCDEF",
    "0f9e8d7c6b5a49382716058473625140",
    "planted+/key==with~odd'signs&more",
)
FAULTS = (400, 401, 404, 500, 403, 413, 422, 429, 503)
_ALIKE = (400, 403, 413, 422, 429, 500, 503)  # none of them says more than the others
RECIPE = """name: keys
teacher:
  kind: openai_chat
  model: scripted
  base_url: {url}
  api_key_env: PLANTED_API_KEY
  price: {{in: 0.15, out: 0.60}}
  max_attempts: 1
generate:
  count: 8
  round_size: 8
"""


@dataclass
class Echo:
    """A server that sends the Authorization header back in every part of every error."""

    status: int = 500
    every: int = 1  # which requests fail: each, or each third ...
    heard: list[str] = field(default_factory=list)

    async def answer(self, http: web.Request) -> web.Response:
        self.heard.append(http.headers["Authorization"])
        if len(self.heard) % self.every:
            reply = scripted(asked_of(await http.json(), int(http.headers.get(DRAW, "0"))))
            return web.json_response(
                {
                    "model": "scripted",
                    "choices": [
                        {"message": {"content": reply["text"]}, "finish_reason": reply["finish"]}
                    ],
                    "usage": {
                        "prompt_tokens": reply["usage"]["uncached_in"],
                        "completion_tokens": reply["usage"]["visible_out"],
                    },
                }
            )
        said = f"{self.heard[-1]} may not ask; sent by {self.heard[-1].split()[-1]}"
        error = {name: said for name in ("message", "code", "type", "param", "hint")}
        return web.json_response(
            {"error": error | {"key": said}, "detail": said},
            status=self.status,
            headers={"X-Request-Id": said, "Retry-After": "0"},
            reason=said[:60],
        )


@contextmanager
def serving(echo: Echo) -> Iterator[str]:
    """The echo on a port of loopback, in a thread."""
    loop, ready, address = asyncio.new_event_loop(), threading.Event(), []

    async def start() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", echo.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        ready.set()

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@dataclass(frozen=True)
class Home:
    path: Path
    key: str

    def call(self, *arguments: str) -> str:
        """Runs a command of ours; answers all that it said."""
        said = command(
            *arguments,
            cwd=self.path,
            PLANTED_API_KEY=self.key,
            ALPACA_PIPE_CACHE=str(self.path / "cache"),
        )
        return said.out + said.err

    def leaks(self, said: str) -> list[str]:
        """Where the key stands, in any of the spellings that a file may give it."""
        spelled = {
            text.encode()
            for text in (
                self.key,
                json.dumps(self.key)[1:-1],
                quote(self.key, safe=""),
                self.key[:20],
            )
        }
        texts = {"the screen": said.encode()} | {
            str(file.relative_to(self.path)): file.read_bytes()
            for file in self.path.rglob("*")
            if file.is_file()
        }
        return [name for name, text in texts.items() if any(key in text for key in spelled)]


def home(path: Path, key: str, url: str) -> Home:
    (path / "keys.yaml").write_text(RECIPE.format(url=url))
    return Home(path, key)


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(status, marks=[pytest.mark.slow] if status in _ALIKE else [])
        for status in FAULTS
    ],
)
def test_a_key_that_every_error_echoes_is_nowhere(tmp_path: Path, status: int) -> None:
    echo = Echo(status)
    with serving(echo) as url:
        place = home(tmp_path, KEYS[FAULTS.index(status) % len(KEYS)], url)
        said = place.call("run", "keys.yaml", "--until", "generate", "--debug")
        assert (
            echo.heard and echo.heard[0] == f"Bearer {place.key}"
        )  # it was sent, so it could have leaked
        assert "Traceback" in said  # and --debug showed all there is to show
        assert place.leaks(said) == []


@pytest.mark.parametrize(
    "key", [KEYS[2], *(pytest.param(key, marks=pytest.mark.slow) for key in KEYS[:2])]
)
def test_no_command_shows_what_an_error_echoed(tmp_path: Path, key: str) -> None:
    """Some requests are answered, some refused: the reasons of the refusals are stored, listed, traced, exported."""
    with serving(Echo(400, every=3)) as url:
        place = home(tmp_path, key, url)
        said = place.call("run", "keys.yaml", "--until", "generate", "--debug")
        assert (place.path / "runs" / "ledger.sqlite").is_file()
        for words in (
            ["ledger"],
            ["plan", "keys.yaml"],
            ["rows", "keys.yaml", "--rejected"],
            ["report", "keys.yaml"],
            ["history", "keys.yaml"],
            ["doctor", "keys.yaml"],
        ):
            said += place.call(*words)
        export_focus(place.path / "runs" / "ledger.sqlite", place.path / "focus.csv")
        export_jsonl(place.path / "runs" / "ledger.sqlite", place.path / "entries.jsonl")
        assert place.leaks(said) == []


def test_the_search_for_leaks_finds_them(tmp_path: Path) -> None:
    for key in KEYS:
        place = Home(tmp_path, key)
        assert place.leaks(f"oh {key}") == ["the screen"]
        (tmp_path / "log.jsonl").write_text(json.dumps({"says": f"Bearer {key}"}))
        assert place.leaks("") == ["log.jsonl"]


@pytest.mark.parametrize(
    "line",
    [
        "api_key_env: sk-proj-planted0123456789abcdef",
        "default_headers: {Authorization: Bearer sk-planted0123456789}",
        "base_url: https://user:sk-planted0123456789@api.test/v1",
        "extra_body: {key: sk-planted0123456789abc}",
        "api_key: sk-planted0123456789abc",
        "base_url: https://api.test/v1?key=sk-planted0123456789",
        "identity: sk-planted0123456789abc",
        "terms: ask sk-planted0123456789abc",
        "concurrency: sk-planted0123456789abc",
        "concurrency: 4  # export OPENAI_API_KEY=sk-planted0123456789abc",
        "price: sk-planted0123456789abc",
    ],
)
def test_a_key_in_a_recipe_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    (tmp_path / "keys.yaml").write_text(
        f"name: keys\nteacher:\n  kind: openai_chat\n  model: gpt-4o-mini\n  {line}\n"
        "generate:\n  count: 8\n"
    )
    done = command("run", "keys.yaml", "--debug", cwd=tmp_path)
    assert done.code and "keys.yaml:5" in done.out + done.err
    assert "planted0123456789" not in done.out + done.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "override",
    [
        "teacher.api_key=sk-planted0123456789abc",
        "teacher.api_key=c0ffee-planted0123456789",
        "teacher.token=hunter-planted0123456789",
        "teacher.base_url=https://me:planted0123456789@api.test/v1",
        "teacher.identity=sk-planted0123456789abc",
        "generate.count=sk-planted0123456789abc",
        "teacher.extra_body={api_key: gsk_planted0123456789}",
    ],
)
def test_a_key_in_an_override_is_refused_and_not_repeated(tmp_path: Path, override: str) -> None:
    (tmp_path / "keys.yaml").write_text(RECIPE.format(url="http://127.0.0.1:1/v1"))
    for debug in ([], ["--debug"]):
        done = command("plan", "keys.yaml", override, *debug, cwd=tmp_path)
        said = done.out + done.err
        assert done.code and f"override '{override.partition('=')[0]}=...'" in said
        assert "planted0123456789" not in said


def test_words_are_no_keys_and_keys_are(data: Path) -> None:
    for key in (
        "sk-proj-" + "aB3" * 20,
        "sk-ant-api03-" + "xY9z" * 20,
        "sk-or-v1-" + "0f" * 32,
        "gsk_" + "Qr5" * 17,
        "hf_" + "aBcD1" * 7,
        "AIza" + "SyD4" * 9,
        "Bearer sk-svcacct-" + "k1" * 20,
        KEYS[0],
    ):
        assert holds_a_key(f"  api_key: {key}"), key
    for text in (
        "hf-internal-testing/tiny-random-llama",
        "api-key-performance-2024",
        "task-description-of-a-bridge-2024",
        "sk-learn-pipelines-and-models-2024",
        "revision: 4782ad278652c7c71b72204d462d6d01eaaf7549",
        "sk-...",
        "hf_transfer",
        *(file.read_text() for file in (*shipped("recipes").glob("*.yaml"), data / "README.md")),
    ):
        assert not holds_a_key(text), text[:60]
