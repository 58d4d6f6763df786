"""What is read of a server is bounded by what was asked for: bodies, packed ones, errors, lines, headers, lists of models."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Failure
from alpaca_pipe.teachers.http_teacher import HttpTeacher
from alpaca_pipe.teachers.openai.bounded_answer import bytes_of_reply
from alpaca_pipe.teachers.openai.chat_dialect import CHAT, TAKES
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.openai.http_client import http_client
from tests.attack.hostile import Asked, Hostile, Script, chat, head, hostile, whole
from tests.teachers.test_metered import CEILING, metered

QUESTION = Request((PromptMessage("user", "Why?"),), {"max_tokens": 80})
MOST = bytes_of_reply(QUESTION, {})
IN_FLIGHT = 24 << 20  # bytes that sockets hold on a busy machine, above what was read


def ask(script: Script, request: Request = QUESTION) -> tuple[Completion | Exception, Hostile]:
    async def main(url: str) -> Completion:
        async with http_client(url, timeout=20.0) as client:
            wire = HttpConnection(client, url, "m", "", 20.0, takes=TAKES, dialect=CHAT)
            return await HttpTeacher(wire, {"who": "test"}).ask(request)

    with hostile(script) as server:
        try:
            return asyncio.run(main(server.url)), server
        except (Failure, UserError) as error:
            return error, server


def saying(*pieces: bytes) -> Script:
    async def script(asked: Asked) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
        yield b""

    return script


def endless(first: bytes, piece: bytes) -> Script:
    async def script(asked: Asked) -> AsyncIterator[bytes]:
        yield first
        while True:
            yield piece

    return script


CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
OF_ZEROS = zlib.compressobj(9, zlib.DEFLATED, 31)
BARE = zlib.compressobj(wbits=-zlib.MAX_WBITS)  # as some servers understand deflate
BOMB = OF_ZEROS.compress(bytes(200 << 20)) + OF_ZEROS.flush()


@pytest.mark.parametrize(
    "script",
    [
        saying(whole(chat("x" * 50_000_000))),
        endless(head(200, "Transfer-Encoding: chunked"), CHUNK),
        endless(head(200), b"x" * 65536),
        endless(head(200, "Content-Length: 99999999999"), b" " * 65536),
        saying(whole(BOMB, "Content-Encoding: gzip")),
        saying(whole(gzip.compress(BOMB), "Content-Encoding: gzip, gzip")),
        endless(head(200, "Content-Encoding: gzip") + gzip.compress(b"{}"), b"x" * 65536),
        endless(head(200, "Transfer-Encoding: chunked"), b"10\r\n{'choices': [{}]\r\n"),
    ],
    ids=[
        "50 MB",
        "chunks",
        "until closed",
        "a length",
        "packed",
        "packed twice",
        "behind it",
        "small chunks",
    ],
)
def test_an_answer_above_its_bound_is_left_there(script: Script) -> None:
    end, server = ask(script)
    assert isinstance(end, Failure) and (end.sent, end.retry) == ("unknown", False)
    assert "more than 4.3 MB, far more than was asked for" in end.what
    assert server.sent[0] <= MOST + IN_FLIGHT and len(server.asked) == 1


def test_a_reply_within_it_is_read_packed_or_not() -> None:
    body = chat("é" * 100_000)
    for answer in (
        whole(body),
        whole(gzip.compress(body), "Content-Encoding: gzip"),
        whole(zlib.compress(body), "Content-Encoding: deflate"),
        whole(BARE.compress(body) + BARE.flush(), "Content-Encoding: deflate"),
        whole(gzip.compress(zlib.compress(body)), "Content-Encoding: deflate, gzip"),
        whole(body, "Content-Encoding: identity"),
    ):
        end, _ = ask(saying(answer))
        assert isinstance(end, Completion) and end.text == "é" * 100_000


def test_what_is_packed_wrongly_is_a_failure() -> None:
    for answer in (
        whole(b"not gzip", "Content-Encoding: gzip"),
        whole(gzip.compress(chat())[:-9], "Content-Encoding: gzip"),
    ):
        end, _ = ask(saying(answer))
        assert isinstance(end, Failure) and end.sent == "unknown"


def test_an_error_without_end_is_the_error_that_its_status_says() -> None:
    for status, sent in ((500, "refused"), (429, "refused")):
        end, server = ask(endless(head(status, reason="no"), b"x" * 65536))
        assert isinstance(end, Failure) and end.sent == sent and str(status) in end.what
        assert server.sent[0] <= IN_FLIGHT


@pytest.mark.parametrize(
    "script",
    [
        saying(head(200, "X: " + "x" * 1_000_000) + b"{}"),
        saying(head(200, *(f"X-{number}: 1" for number in range(10_000))) + b"{}"),
        endless(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        endless(b"HTTP/1.1 200 " + b"x" * 60_000, b"x" * 60_000),
        endless(b"x" * 60_000, b"x" * 60_000),
    ],
    ids=["a long header", "many headers", "headers", "a status line", "no HTTP"],
)
def test_headers_and_lines_have_a_bound_too(script: Script) -> None:
    end, server = ask(script)
    assert isinstance(end, Failure) and end.sent == "unknown"
    assert server.sent[0] <= IN_FLIGHT


def test_a_list_of_models_has_a_bound() -> None:
    async def main(url: str) -> Any:
        async with http_client(url, timeout=20.0) as client:
            wire = HttpConnection(client, url, "m", "", 20.0, takes=TAKES, dialect=CHAT)
            return await wire.models()

    with hostile(endless(head(200, "Content-Type: application/json"), b"[" * 65536)) as server:
        with pytest.raises(Failure):
            asyncio.run(main(server.url))
        assert server.sent[0] <= MOST + IN_FLIGHT


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        yield journal


def test_an_endless_answer_is_paid_for_once_at_most_and_ends_the_run(journal: Journal) -> None:
    async def main(url: str) -> None:
        async with http_client(url, timeout=20.0) as client:
            wire = HttpConnection(client, url, "m", "", 20.0, takes=TAKES, dialect=CHAT)
            short = Request(QUESTION.messages, {"max_tokens": 20})
            await metered(HttpTeacher(wire, {"who": "test"}), journal).ask(short)  # type: ignore[arg-type]

    with hostile(endless(head(200), b"x" * 65536)) as server:
        with pytest.raises(UserError, match="far more than was asked for"):
            asyncio.run(main(server.url))
        assert len(server.asked) == 1
    assert 0 < journal.totals().lost <= 2 * CEILING and not journal.totals().pending


def test_the_bound_grows_with_what_is_asked_for() -> None:
    def most(**decoding: Any) -> int:
        return bytes_of_reply(Request(QUESTION.messages, decoding), {})

    assert most(max_tokens=80) < most(max_tokens=4096) < most(max_tokens=4096, top_logprobs=5)
    assert most(max_tokens=80) < most() < 64 << 20
    assert most(max_tokens="80") == most()
