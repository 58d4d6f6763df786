"""One priced ping, and what the way to a provider may be: proxies, authorities of one's own, logs without keys. Real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps, OverBudget
from alpaca_pipe.ledger.pricing.token_prices import PriceTable
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.check import check
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import open_teacher

KEY = "sk-planted-0123456789abcdefghijklmnop"
HOST = "teacher.test"  # no such host: only a proxy can reach it
QUESTION = Request((PromptMessage("user", "Why?"),), {"max_tokens": 20})
REPLY = {
    "choices": [{"message": {"content": "pong"}, "finish_reason": "stop"}],
    "model": "m-2026-01-02",
    "system_fingerprint": "fp_7",
    "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14},
}
LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def priced(dollars_in: float = 1, dollars_out: float = 2) -> PriceTable:
    return PriceTable.model_validate({"in": dollars_in, "out": dollars_out})


@contextlib.asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def good(http: web.BaseRequest) -> web.Response:
    await http.read()
    return web.json_response(REPLY, headers=LIMITS)


def checked(folder: Path, handler: Handler, caps: Caps = Caps(), **fields: Any) -> list[str]:  # noqa: B008
    """The lines of one check against a server that answers with `handler`."""

    def of(port: int) -> list[str]:
        lines: list[str] = []
        table = TeacherTable(
            kind="openai_chat",
            model="m",
            base_url=f"http://127.0.0.1:{port}/v1",
            price=priced(),
            **fields,
        )
        with Journal.open(folder / "ledger.sqlite") as journal:
            try:
                check(
                    table,
                    journal=journal,
                    caps=caps,
                    recipe="mine",
                    log=folder / "log",
                    tell=lines.append,
                )
            finally:
                told.extend(lines)
        return lines

    async def main() -> list[str]:
        async with serving(handler) as port:
            return await asyncio.to_thread(of, port)

    told.clear()
    return asyncio.run(main())


told: list[str] = []  # of the last check, where it failed too


def test_a_check_says_everything_before_and_after_one_tiny_request(tmp_path: Path) -> None:
    lines = checked(tmp_path, good)
    text = "\n".join(lines)
    for said in (
        "openai_chat, model 'm'",
        "http://127.0.0.1:",
        "no key",
        "$1 uncached_in",
        "teacher.price of the recipe",
        "takes ",
        "max_tokens, ",
        "ceiling    $0.000",
        "m-2026-01-02, fingerprint fp_7",
        "12 tokens in, 2 out; $0.000016 settled",
        "'pong' (stop)",
        "500 requests a minute (499 left)",
    ):
        assert said in text, f"{said!r} is not in\n{text}"
    with Journal.open(tmp_path / "ledger.sqlite", read_only=True) as journal:
        entries = list(journal.entries("mine"))
        assert [(entry.kind, entry.stage) for entry in entries] == [
            ("reserved", "check"),
            ("settled", "check"),
        ]
        assert entries[1].nanodollars == 12 * 1000 + 2 * 2000
        assert journal.stored(entries[0].request) is not None


def test_a_second_check_asks_again(tmp_path: Path) -> None:
    checked(tmp_path, good)
    checked(tmp_path, good)
    with Journal.open(tmp_path / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals("mine").requests == 2


def test_a_check_keeps_to_the_budget_and_says_what_it_would_cost(tmp_path: Path) -> None:
    with pytest.raises(OverBudget, match="budget.api"):
        checked(tmp_path, good, Caps(api=10))
    assert any(line.startswith("ceiling") for line in told)


@pytest.mark.parametrize(
    ("status", "error", "cure"),
    [
        (401, {"code": "invalid_api_key", "message": KEY}, "api_key_env"),
        (404, {"code": "model_not_found"}, "teacher.model"),
        (429, {"code": "insufficient_quota", "message": "no"}, "add credit"),
        (503, {"message": "busy"}, "later"),
        (400, {"message": "max_tokens is not supported"}, "teacher.refuses"),
        (400, {"message": "Your credit balance is too low to access the API"}, "add credit"),
    ],
)
def test_a_check_that_fails_is_one_sentence_with_its_cure(
    tmp_path: Path, status: int, error: dict[str, str], cure: str
) -> None:
    async def handler(http: web.BaseRequest) -> web.Response:
        return web.json_response({"error": error}, status=status)

    with pytest.raises(UserError) as caught:
        checked(tmp_path, handler)
    assert cure in caught.value.cure and KEY not in str(caught.value)
    with Journal.open(tmp_path / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals("mine").spent == journal.totals("mine").open == 0


def test_a_server_that_is_not_there_is_told_by_its_address(tmp_path: Path) -> None:
    with (
        pytest.raises(
            UserError,
            match=r"failed once: http://127.0.0.1:1/v1 cannot be reached.* - see that it is up.*base_url",
        ),
        Journal.open(tmp_path / "ledger.sqlite") as journal,
    ):
        nobody = TeacherTable(
            kind="openai_chat", model="m", base_url="http://127.0.0.1:1/v1", price=priced()
        )
        check(
            nobody,
            journal=journal,
            caps=Caps(),
            recipe="mine",
            log=tmp_path / "log",
            tell=told.append,
        )


def test_a_rehearsed_teacher_is_checked_by_the_same_way(tmp_path: Path) -> None:
    lines: list[str] = []
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        check(
            TeacherTable(kind="rehearsed", model="gpt-4o-mini", price=priced()),
            journal=journal,
            caps=Caps(),
            recipe="r",
            log=tmp_path / "log",
            tell=lines.append,
        )
    assert "on this machine" in "\n".join(lines) and "served by  gpt-4o-mini" in "\n".join(lines)


# ---- the way there


async def ask(table: TeacherTable, folder: Path) -> Completion:
    async with open_teacher(table, log=folder / "log") as teacher:
        return await teacher.ask(QUESTION)


def endpoint(**fields: Any) -> TeacherTable:
    return TeacherTable(
        **{"kind": "openai_chat", "model": "m", "api_key_env": "MY_KEY", "timeout": 5.0, **fields}
    )


def tunnel(
    to: int, wants: str = ""
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A proxy that makes tunnels, wherever to, to one port of this machine."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if not head.startswith(f"CONNECT {HOST}:443") or wants not in head:
            writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", to)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def carry(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    drain.write(data)
            drain.close()

        await asyncio.gather(carry(reader, back), carry(there, writer))

    return serve


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for HOST and the authority that has signed it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl, to make certificates")
    folder = tmp_path_factory.mktemp("ca")
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST}\nbasicConstraints=CA:FALSE\n")
    for command in (
        (
            "req -x509 -newkey rsa:2048 -nodes -days 30 -keyout ca.key -out ca.pem -subj /CN=ours "
            "-addext keyUsage=critical,keyCertSign"
        ),
        f"req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN={HOST}",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out server.pem -extfile names",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


def through(folder: Path, authority: Path, wants: str = "", **fields: Any) -> Completion:
    """One question to https://HOST by a proxy; fields may hold {port}, the proxy's."""

    async def main() -> Completion:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(authority / "server.pem", authority / "server.key")
        async with serving(good, context) as port:
            proxy = await asyncio.start_server(tunnel(port, wants), "127.0.0.1", 0)
            async with proxy:
                at = proxy.sockets[0].getsockname()[1]
                for name in ("HTTPS_PROXY", "https_proxy"):
                    if "environment" in fields:
                        patch.setenv(name, fields["environment"].format(port=at))
                filled = {
                    name: value.format(port=at) if isinstance(value, str) else value
                    for name, value in fields.items()
                    if name != "environment"
                }
                return await ask(endpoint(base_url=f"https://{HOST}/v1", **filled), folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_KEY", KEY)
        return asyncio.run(main())


def test_a_proxy_of_the_recipe_and_an_authority_of_ones_own(
    tmp_path: Path, authority: Path
) -> None:
    assert (
        through(
            tmp_path, authority, proxy="http://127.0.0.1:{port}", ca_file=authority / "ca.pem"
        ).text
        == "pong"
    )


def test_a_proxy_of_the_environment_with_its_password(tmp_path: Path, authority: Path) -> None:
    wants = "Proxy-Authorization: Basic bWU6c2VjcmV0"  # me:secret
    assert (
        through(
            tmp_path,
            authority,
            wants,
            environment="http://me:secret@127.0.0.1:{port}",
            ca_file=authority / "ca.pem",
        ).text
        == "pong"
    )
    with pytest.raises(Fatal, match="wants a user and a password") as caught:
        through(
            tmp_path,
            authority,
            wants,
            environment="http://me:wrong@127.0.0.1:{port}",
            ca_file=authority / "ca.pem",
        )
    assert "wrong" not in str(caught.value)


def test_an_authority_that_nobody_knows_is_one_sentence(tmp_path: Path, authority: Path) -> None:
    with pytest.raises(Fatal, match="is not trusted") as caught:
        through(tmp_path, authority, proxy="http://127.0.0.1:{port}")
    assert "teacher.ca_file" in caught.value.cure


def test_an_authority_of_the_environment(
    tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    assert through(tmp_path, authority, proxy="http://127.0.0.1:{port}").text == "pong"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(UserError, match="SSL_CERT_FILE"):
        through(tmp_path, authority, proxy="http://127.0.0.1:{port}")


def test_a_plain_address_goes_by_the_proxy_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def proxy(http: web.BaseRequest) -> web.Response:
        seen.append(f"{http.method} {http.headers['Host']}")
        return await good(http)

    async def main() -> Completion:
        async with serving(proxy) as port:
            return await ask(
                endpoint(base_url=f"http://{HOST}/v1", proxy=f"http://127.0.0.1:{port}"), tmp_path
            )

    monkeypatch.setenv("MY_KEY", KEY)
    assert asyncio.run(main()).text == "pong" and seen == [f"GET {HOST}", f"POST {HOST}"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_our_own_machine_is_never_reached_by_a_proxy(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> Completion:
        async with serving(good) as port:
            return await ask(
                endpoint(base_url=f"http://127.0.0.1:{port}/v1", proxy="http://127.0.0.1:9"),
                tmp_path,
            )

    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert asyncio.run(main()).text == "pong"


def test_a_proxy_that_is_not_there_or_not_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with pytest.raises(
        Failure, match="the proxy on the way to https://teacher.test/v1 cannot be reached"
    ) as caught:
        asyncio.run(
            ask(endpoint(base_url=f"https://{HOST}/v1", proxy="http://127.0.0.1:9"), tmp_path)
        )
    assert caught.value.sent == "no"
    monkeypatch.setenv("ALL_PROXY", "socks5://me:secret@127.0.0.1:9")
    with pytest.raises(UserError, match="names a SOCKS proxy") as refused:
        asyncio.run(ask(endpoint(base_url=f"https://{HOST}/v1"), tmp_path))
    assert "secret" not in str(refused.value)


def test_no_log_of_any_library_holds_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async def handler(http: web.BaseRequest) -> web.Response:
            assert http.headers["Authorization"] == f"Bearer {KEY}"
            return next(answers) if http.method == "POST" else web.json_response({"data": []})

        answers = iter(
            [
                web.json_response(REPLY),
                web.json_response({"error": {"message": f"{KEY} is busy"}}, status=500),
            ]
        )
        async with serving(handler) as port:
            table = endpoint(base_url=f"http://127.0.0.1:{port}/v1")
            await ask(table, tmp_path)
            with pytest.raises(Failure) as caught:
                await ask(table, tmp_path)
            assert KEY not in str(caught.value)

    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    with caplog.at_level(logging.DEBUG):
        for name in ("openai", "httpx2", "aiohttp", "asyncio"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        asyncio.run(main(), debug=True)
    assert caplog.records and KEY not in caplog.text
    assert not any(KEY in str(vars(record)) for record in caplog.records)


def test_the_ping_is_always_the_same_so_its_prompt_is_not_to_blame(tmp_path: Path) -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"error": {"message": "oh"}}, status=500)

    async def main() -> UserError:
        async with serving(broken) as port:
            table = TeacherTable(
                kind="openai_chat",
                model="m",
                base_url=f"http://127.0.0.1:{port}/v1",
                price=priced(),
            )
            with Journal.open(tmp_path / "ledger.sqlite") as journal:
                try:
                    await asyncio.to_thread(
                        check,
                        table,
                        journal=journal,
                        caps=Caps(api=10**9),
                        recipe="r",
                        log=tmp_path / "log",
                        tell=lambda line: None,
                    )
                except UserError as error:
                    return error
        raise AssertionError("it went well")

    error = asyncio.run(main())
    assert "500" in error.what and "seed" not in error.cure and "prompt" not in error.cure
    assert "outage" in error.cure
