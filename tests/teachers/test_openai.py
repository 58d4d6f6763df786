"""OpenAI's dialects against a real HTTP server that answers well, wrongly, late or not at all."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.batch.batch_client import BatchClient
from alpaca_pipe.teachers.http_teacher import HttpTeacher
from alpaca_pipe.teachers.openai.chat_dialect import CHAT, TAKES
from alpaca_pipe.teachers.openai.completions_dialect import COMPLETIONS
from alpaca_pipe.teachers.openai.error_mapping import key_from, retry_after, without_keys
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.openai.http_client import (
    HttpClient,
    WholeAnswer,
    http_client,
    proxy_of_environment,
)
from alpaca_pipe.teachers.openai.usage import usage_of

KEY = "sk-test-0123456789abcdef"
QUESTION = Request(
    (PromptMessage("system", "Be brief."), PromptMessage("user", "Why?")),
    {"max_tokens": 5, "seed": 7},
    sample=2,
)
USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(
    handler: Handler,
    request: Request = QUESTION,
    *,
    timeout: float = 5.0,
    legacy: bool = False,
    **wire: Any,
) -> Completion:
    """One question to a server that answers everything with `handler`."""

    async def main() -> Completion:
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            return await ask_at(
                f"http://127.0.0.1:{runner.addresses[0][1]}/v1", request, timeout, legacy, **wire
            )
        finally:
            await runner.cleanup()

    return asyncio.run(main())


async def ask_at(
    address: str, request: Request, timeout: float, legacy: bool, **wire: Any
) -> Completion:
    async with http_client(address, timeout=timeout) as client:
        dialect = COMPLETIONS if legacy else CHAT
        line = HttpConnection(
            client, address, "m", KEY, timeout, dialect=dialect, **{"takes": TAKES, **wire}
        )
        return await HttpTeacher(line, {"who": "test"}).ask(request)


def answering(status: int, body: Any, headers: dict[str, str] | None = None) -> Handler:
    async def handler(http: web.Request) -> web.Response:
        return web.Response(
            status=status,
            text=body if isinstance(body, str) else json.dumps(body),
            content_type="application/json",
            headers=headers,
        )

    return handler


def saying(message: dict[str, Any], finish: str | None = "stop", usage: Any = USAGE) -> Handler:
    return answering(
        200,
        {
            "choices": [{"message": message, "finish_reason": finish}],
            "usage": usage,
            "model": "m-0125",
            "system_fingerprint": "fp",
        },
    )


def error(code: str = "", message: str = "no", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "type": "", **more}}


def test_what_is_sent_and_what_comes_back() -> None:
    seen: list[web.Request] = []
    bodies: list[Any] = []

    async def handler(http: web.Request) -> web.StreamResponse:
        seen.append(http)
        bodies.append(await http.json())
        return await saying({"content": "Because."})(http)

    completion = ask(
        handler, extra_body={"top_k": 3}, renamed={"max_tokens": "max_completion_tokens"}
    )
    assert seen[0].path == "/v1/chat/completions"
    assert seen[0].headers["Authorization"] == f"Bearer {KEY}"
    assert seen[0].headers["X-Draw"] == "2"
    assert bodies == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Why?"},
            ],
            "max_completion_tokens": 5,
            "seed": 9,
            "top_k": 3,
            "stream": False,
        }
    ]  # the third draw has a seed of its own
    assert completion == Completion(
        "Because.",
        "stop",
        Usage(uncached_in=11, visible_out=3),
        QUESTION.key({"who": "test"}),
        "m-0125",
        "fp",
    )


def test_the_legacy_dialect_continues_one_text() -> None:
    async def handler(http: web.Request) -> web.Response:
        assert http.path == "/v1/completions"
        body = await http.json()
        return web.json_response(
            {"choices": [{"text": body["prompt"] + "!", "finish_reason": "length"}], "usage": USAGE}
        )

    completion = ask(handler, Request((PromptMessage("user", "Once"),)), legacy=True)
    assert (completion.text, completion.finish) == ("Once!", "length")
    with pytest.raises(Fatal, match="continues one text"):
        ask(handler, QUESTION, legacy=True)


@pytest.mark.parametrize(
    ("message", "finish", "text", "ends"),
    [
        ({"content": "a"}, "stop", "a", "stop"),
        ({"content": "a"}, "length", "a", "length"),
        ({"content": None}, "content_filter", "", "content_filter"),
        ({"content": "a"}, "tool_calls", "a", "stop"),
        ({"content": "a"}, "abort", "a", "length"),
        ({"content": "a"}, None, "a", "stop"),  # 3 of 5 tokens
        ({"content": "a"}, "eos_token", "a", "stop"),
        ({"content": "a"}, "STOP", "a", "stop"),
        ({"content": "a"}, "FINISH_REASON_MAX_TOKENS", "a", "length"),
        ({"content": "a"}, "who knows", "a", "stop"),
        ({"content": None, "refusal": "I must not."}, "stop", "I must not.", "refused"),
    ],
)
def test_how_a_reply_ended(
    message: dict[str, Any], finish: str | None, text: str, ends: str
) -> None:
    completion = ask(saying(message, finish))
    assert (completion.text, completion.finish) == (text, ends)


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        (error(code=402, message="Insufficient credits"), Fatal, ""),
        (error(code="insufficient_quota"), Fatal, ""),
        (error(code=429), Failure, "refused"),
        (error(code=504), Failure, "unknown"),
        ({"error": "busy"}, Failure, "unknown"),
        ({**error(code=502), "usage": USAGE}, Failure, "unknown"),
        ({"detail": "no"}, Failure, "unknown"),
        (
            {
                "choices": [
                    {"message": {"content": ""}, "finish_reason": "error", "error": {"code": 502}}
                ]
            },
            Failure,
            "refused",
        ),
        (
            {"choices": [{"message": {"content": "x"}, "finish_reason": "error"}], "usage": USAGE},
            Failure,
            "unknown",
        ),
    ],
)
def test_an_error_in_a_200_is_explained_by_its_own_code(
    body: Any, kind: type[Exception], sent: str
) -> None:
    with pytest.raises(kind) as raised:
        ask(answering(200, body))
    assert getattr(raised.value, "sent", "") == sent


def test_half_a_character_is_replaced_where_a_text_is_taken() -> None:
    completion = ask(saying({"content": "x \ud83d"}))
    assert completion.text == "x \ufffd"
    assert ask(saying({"content": [{"text": "\ud83d\ude00"}]})).text == "\U0001f600"
    with pytest.raises(Failure) as raised:
        ask(answering(500, error(message="broken \ud83d")))
    assert raised.value.what.endswith("broken \ufffd")


def test_a_reply_without_usage_says_nothing_about_tokens() -> None:
    assert ask(saying({"content": "a"}, usage=None)).usage == Usage()


@pytest.mark.parametrize(
    ("status", "body", "finish", "text"),
    [
        (400, error("context_length_exceeded", "too long"), "refused", "too long"),
        (413, error(), "refused", "no"),
        (422, error(), "refused", "no"),
        (400, error("content_filter"), "content_filter", ""),
        (400, error("invalid_prompt"), "content_filter", ""),
        (
            400,
            error(message="the prompt 'What is a quota?' is too long"),
            "refused",
            "the prompt 'What is a quota?' is too long",
        ),
        (
            400,
            error(message="the prompt is too long; no more keys"),
            "refused",
            "the prompt is too long; no more keys",
        ),
        (
            403,
            error(message="flagged", metadata={"reasons": ["x"], "flagged_input": "..."}),
            "content_filter",
            "",
        ),  # OpenRouter
    ],
)
def test_a_request_that_is_refused_for_good_is_an_answer(
    status: int, body: Any, finish: str, text: str
) -> None:
    completion = ask(answering(status, body))
    assert (completion.finish, completion.text, completion.usage) == (finish, text, Usage())
    assert completion.key


@pytest.mark.parametrize(
    ("status", "body", "says", "cure"),
    [
        (
            401,
            error("invalid_api_key", f"Incorrect API key provided: {KEY}"),
            "does not accept the key",
            "api_key_env",
        ),
        (403, error(message=f"{KEY} may not"), "does not accept the key", "api_key_env"),
        (
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid. Please pass a valid API key.",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            "does not accept the key",
            "api_key_env",
        ),  # Gemini
        (
            400,
            error(message="Incorrect API key provided: x***y"),
            "does not accept the key",
            "api_key_env",
        ),  # xAI
        (400, error("invalid_api_key"), "does not accept the key", "api_key_env"),
        (429, error("insufficient_quota", f"no quota for {KEY}"), "no quota for", "add credit"),
        (402, error(message="Insufficient Balance"), "Insufficient Balance", "add credit"),
        (
            400,
            error("invalid_request_error", "Your credit balance is too low to access the API."),
            "credit balance",
            "add credit",
        ),  # Anthropic; in the middle of a run it would else be taken for a prompt's answer
        *(
            (400, error(type_, message), message[:30], "add credit")
            for type_, message in (
                (
                    "budget_exceeded",
                    "Budget has been exceeded! Current cost: 10.2, Max budget: 10.0",
                ),  # LiteLLM
                ("", "Budget has been exceeded! Max budget: 10.0"),
                ("", "The quota of this project is exceeded"),
                ("", "You have reached your specified API usage limits."),
                ("", "the monthly spending limit of your team"),
            )
        ),
        (403, error(message="Your spending limit is reached"), "spending limit", "add credit"),
        (
            403,
            "<html><style>p{}</style><title>Blocked</title><p>Sorry, you have been blocked</p></html>",
            "answered 403: Blocked Sorry, you have been blocked",
            "firewall",
        ),
        (
            403,
            error("unsupported_country_region_territory", "Country not supported"),
            "Country not supported",
            "who refused",
        ),
        (403, error("permission_denied", "no"), "does not accept the key (403)", "api_key_env"),
        (403, "", "does not accept the key (403)", "api_key_env"),
        (407, "", "the proxy on the way", "HTTPS_PROXY"),
        (404, error("model_not_found", "no such model"), "no such model", "teacher.model"),
        (404, "<html>not here</html>", "404", "teacher.base_url"),
        (400, error("model_not_found"), "400", "teacher.model"),
        (
            400,
            error("unsupported_parameter", "Unsupported parameter: 'stop'", param="stop"),
            "does not take 'stop'",
            "refuses: [stop]",
        ),
        (301, "", "sends us elsewhere", "teacher.base_url"),
    ],
)
def test_what_no_request_survives_is_fatal_with_a_cure_and_without_the_key(
    status: int, body: Any, says: str, cure: str
) -> None:
    with pytest.raises(Fatal) as caught:
        ask(
            answering(
                status, body, {"Location": "http://127.0.0.1:9/v1"} if status == 301 else None
            )
        )
    assert says in caught.value.what
    assert cure in caught.value.cure
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "headers", "sent", "retry", "wait", "slower"),
    [
        (429, error("rate_limit_exceeded", KEY), {"Retry-After": "3"}, "refused", True, 3.0, True),
        (429, error(), {"Retry-After-Ms": "250", "Retry-After": "9"}, "refused", True, 0.25, True),
        (500, error(), {}, "refused", True, None, False),
        (502, "<html>bad gateway</html>", {}, "refused", True, None, False),
        (503, error(), {}, "refused", True, None, True),
        (529, error(), {}, "refused", True, None, True),
        (
            504,
            "",
            {},
            "unknown",
            True,
            None,
            False,
        ),  # the server behind the gateway may still be billing
        (408, error(), {}, "refused", True, None, False),
        (451, error(), {}, "refused", False, None, False),
        (
            403,
            {"error": {"message": "rate limit for this key", "code": 403}},
            {"Retry-After": "2"},
            "refused",
            True,
            2.0,
            True,
        ),
        (200, "<html>welcome</html>", {}, "unknown", True, None, False),
        (200, "[1]", {}, "unknown", True, None, False),
        (200, {"error": {"message": "upstream"}}, {}, "unknown", True, None, False),
        (200, {"choices": "many"}, {}, "unknown", True, None, False),
        (200, {"choices": [1]}, {}, "unknown", True, None, False),
        (200, "[" * 100_000, {}, "unknown", True, None, False),
    ],
)
def test_what_may_go_better_later(
    status: int,
    body: Any,
    headers: dict[str, str],
    sent: str,
    retry: bool,
    wait: float | None,
    slower: bool,
) -> None:
    with pytest.raises(Failure) as caught:
        ask(answering(status, body, headers))
    failure = caught.value
    assert (failure.sent, failure.retry, failure.retry_after, failure.slower) == (
        sent,
        retry,
        wait,
        slower,
    )
    assert KEY not in str(failure)


def test_every_question_is_one_http_attempt() -> None:
    count = 0

    async def handler(http: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return web.json_response({}, status=500)

    with pytest.raises(Failure):
        ask(handler)
    assert count == 1


def test_a_server_that_is_late_may_have_billed() -> None:
    async def handler(http: web.Request) -> web.Response:
        await asyncio.Event().wait()  # for ever
        return web.Response()

    with pytest.raises(Failure, match="did not answer within") as caught:
        ask(handler, timeout=0.5)
    assert (caught.value.sent, caught.value.retry) == ("unknown", True)


def test_a_server_that_trickles_is_late_too() -> None:
    async def handler(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(http)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)

    with pytest.raises(Failure, match="did not answer within") as caught:
        ask(handler, timeout=0.5)
    assert caught.value.sent == "unknown"


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"])
def test_a_connection_that_breaks_after_the_question_may_have_billed(first: bytes) -> None:
    async def handler(http: web.Request) -> web.StreamResponse:
        assert http.transport is not None
        await http.read()
        http.transport.write(first)
        http.transport.close()
        return web.Response()

    with pytest.raises(Failure, match="broke before") as caught:
        ask(handler)
    assert (caught.value.sent, caught.value.retry) == ("unknown", True)


def test_what_never_left_us_cannot_be_billed() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        with pytest.raises(Failure, match="cannot be reached") as caught:
            asyncio.run(ask_at(address, QUESTION, 5.0, False))
    assert (caught.value.sent, caught.value.retry) == ("no", True)


def test_a_decoding_field_that_is_not_taken_stops_before_anything_is_sent_or_is_dropped() -> None:
    bodies: list[Any] = []

    async def handler(http: web.Request) -> web.StreamResponse:
        bodies.append(await http.json())
        return await saying({"content": "a"})(http)

    request = Request((PromptMessage("user", "Why?"),), {"max_tokens": 5, "top_k": 3})
    with pytest.raises(Fatal, match="does not take the decoding field 'top_k'"):
        ask(handler, request)
    assert bodies == []
    ask(handler, request, drop=True)
    assert bodies[0].keys() == {"model", "messages", "max_tokens", "stream"}


def test_no_other_key_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-0123456789")
    monkeypatch.setenv(
        "HTTP_PROXY", "http://127.0.0.1:9"
    )  # nor is a proxy asked for our own machine

    async def handler(http: web.Request) -> web.StreamResponse:
        assert "sk-admin" not in str(http.headers)
        return await saying({"content": "a"})(http)

    assert ask(handler).text == "a"


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(36, 64, 0, 20, 30),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 20},
            },
            Usage(70, 10, 20, 50, 0),
        ),
        # a provider that counts its reasoning beside completion_tokens
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 180,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(100, 0, 0, 50, 30),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None},
            Usage(9, 0, 0, 1, 0),
        ),
    ],
)
def test_token_classes_exclude_each_other(said: dict[str, Any], usage: Usage) -> None:
    assert usage_of(said) == usage


@given(*[st.integers(0, 10_000)] * 5)
def test_token_classes_sum_to_what_the_provider_says(
    prompt: int, out: int, cached: int, written: int, reasoning: int
) -> None:
    usage = usage_of(
        {
            "prompt_tokens": prompt,
            "completion_tokens": out,
            "total_tokens": prompt + out,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )
    assert (usage.tokens_in, usage.tokens_out) == (prompt, out)
    assert (
        min(
            usage.uncached_in,
            usage.cache_read,
            usage.cache_write,
            usage.visible_out,
            usage.reasoning_out,
        )
        >= 0
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, 0.0),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:28:10 GMT",
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            10.0,
        ),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_is_read_by_our_clock_where_the_server_sends_none() -> None:
    until = formatdate(time.time() + 60, usegmt=True)
    assert retry_after({"retry-after": until}) == pytest.approx(60, abs=45)


def test_what_is_told_of_rate_limits_comes_with_replies_and_with_refusals() -> None:
    limits = {"x-ratelimit-remaining-tokens": "7", "X-RateLimit-Limit": "9", "x-other": "1"}
    completion = ask(
        answering(200, {"choices": [{"message": {"content": "a"}}], "usage": USAGE}, limits)
    )
    told = {"x-ratelimit-remaining-tokens": "7", "X-RateLimit-Limit": "9"}
    assert completion.limits == told
    with pytest.raises(Failure) as caught:
        ask(answering(429, error(), limits))
    assert caught.value.limits == told


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        (7, ""),
        ({"a": 1}, ""),
        ([None, "x"], ""),
    ],
)
def test_content_of_another_shape_is_read_as_far_as_it_is_text(said: Any, text: str) -> None:
    assert ask(saying({"content": said})).text == text


def test_a_compressed_reply_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(http: web.Request) -> web.StreamResponse:
        assert http.headers["Accept-Encoding"] == "gzip, deflate"
        response = web.json_response(
            {"choices": [{"message": {"content": "packed"}}], "usage": USAGE}
        )
        response.enable_compression(web.ContentCoding.gzip)
        return response

    assert ask(handler).text == "packed"


def test_keys_are_taken_out_of_texts() -> None:
    assert (
        without_keys(f"bad {KEY} and sk-other***wxyz\nand secret-of-mine", "secret-of-mine")
        == "bad [key] and [key] and [key]"
    )
    assert (
        without_keys("an exact example", "x") == "an exact example"
    )  # a placeholder, as local servers want one


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "holds no key"),
        ("  ", "holds no key"),
        ("sk-a b", "is no key"),
        ("sk-ä", "is no key"),
    ],
)
def test_a_missing_or_broken_key_is_said_without_showing_it(value: str | None, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        key_from({} if value is None else {"K": value}, "K")
    assert "sk-" not in str(caught.value)


def test_a_key_is_read_without_its_newline() -> None:
    assert key_from({"K": "sk-abc\n"}, "K") == "sk-abc"


def test_a_download_takes_no_header_of_ours_from_https_to_http_or_to_another_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also not whom OpenAI bills, which goes with every request of ours."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    seen: list[tuple[str, set[str]]] = []
    ways = {
        "https://api.openai.com/v1/files/f/content": "http://api.openai.com/v1/files/f/content",
        "http://api.openai.com/v1/files/f/content": "https://api.openai.com:444/f",
        "https://api.openai.com:444/f": "https://api.openai.com/f",
    }

    async def send(
        self: HttpClient, method: str, url: str, headers: Any, most: int, body: Any = None
    ) -> WholeAnswer:
        seen.append((url, set(headers)))
        return WholeAnswer(302 if url in ways else 200, {"location": ways.get(url, "")}, b"lines")

    async def main() -> set[str]:
        async with http_client("https://api.openai.com/v1", headers={"X-Mine": "x"}) as client:
            line = HttpConnection(client, "https://api.openai.com/v1", "m", KEY, 5, TAKES, CHAT)
            assert await BatchClient(line).content("f", 1000) == b"lines"
            return set(client._session.headers)

    monkeypatch.setattr(HttpClient, "send", send)
    everywhere = asyncio.run(main())
    assert not everywhere & {"OpenAI-Organization", "Authorization", "X-Mine"}
    ours = {"OpenAI-Organization", "Authorization", "X-Mine"}
    assert [(url, bool(headers & ours)) for url, headers in seen] == [
        ("https://api.openai.com/v1/files/f/content", True),
        ("http://api.openai.com/v1/files/f/content", False),
        ("https://api.openai.com:444/f", False),
        ("https://api.openai.com/f", True),
    ]
    assert ours <= seen[0][1]


def test_a_download_follows_to_another_host_and_leaves_the_key_behind() -> None:
    """A provider may keep a batch's answers in somebody else's store; a request of ours goes nowhere else."""
    seen: list[tuple[str, str]] = []

    async def handler(http: web.Request) -> web.Response:
        seen.append((http.path, http.headers.get("Authorization", "")))
        if http.path == "/v1/files/f/content":
            port = http.url.port
            return web.Response(status=302, headers={"Location": f"http://localhost:{port}/kept"})
        if http.path == "/kept":
            return web.Response(status=307, headers={"Location": "/there?signed=yes"})
        return web.Response(body=b"lines")

    async def main() -> bytes:
        runner = web.AppRunner(app := web.Application(), shutdown_timeout=0.1)
        app.router.add_route("*", "/{any:.*}", handler)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        try:
            async with http_client(address) as client:
                line = HttpConnection(client, address, "m", KEY, 5, TAKES, CHAT)
                return await BatchClient(line).content("f", 1000)
        finally:
            await runner.cleanup()

    assert asyncio.run(main()) == b"lines"
    assert seen == [("/v1/files/f/content", f"Bearer {KEY}"), ("/kept", ""), ("/there", "")]


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"HTTPS_PROXY": "http://me:secret@proxy:3128"}, "http://me:secret@proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".teacher.test,other"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "eacher.test"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:1", "ALL_PROXY": "socks5://proxy:2"}, "http://proxy:1"),
        ({}, None),
    ],
)
def test_the_proxy_that_the_environment_names(
    environment: dict[str, str], way: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_of_environment("https://api.teacher.test/v1") == way


def test_a_bare_deflate_body_is_unpacked_to_its_end() -> None:
    """zlib may have read all of it and hold back what did not fit into the first piece."""
    import zlib

    from alpaca_pipe.teachers.openai.bounded_answer import _layers, _unpacked

    for size in range(131_000, 131_200):
        body = b"ab" * (size // 2)
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = packer.compress(body) + packer.flush()
        assert b"".join(_unpacked(packed, _layers("deflate"))) == body, size
