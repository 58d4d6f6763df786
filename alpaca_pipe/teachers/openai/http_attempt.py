"""One HTTP attempt in any dialect: the client, the request, and what an answer that is no reply means."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.outside_numbers import exact_json
from alpaca_pipe.teachers.base import NO_FIELDS, Dialect, Failure, Fatal, SentFields
from alpaca_pipe.teachers.openai.bounded_answer import at_most, bound, bytes_of_reply
from alpaca_pipe.teachers.openai.error_mapping import (
    Refused,
    Renamed,
    answered,
    answered_with_error,
    broken_calls,
    unanswered,
)
from alpaca_pipe.teachers.openai.event_stream import is_stream, whole_reply

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

CONNECT_WITHIN = 10.0  # seconds
# Servers close idle connections after 5 s (uvicorn, llama.cpp); a request into a closing one would be booked as lost.
IDLE_CONNECTIONS_LIVE = 2.0  # seconds
# Which draw of one question this is; servers ignore it, our scripted one answers by it.
DRAW = "X-Draw"
NAME = "X-Client-Request-Id"  # OpenAI keeps it in its logs


@dataclass(frozen=True)
class Reply:
    """What came back: the reply's JSON, its numbers exact, and the headers about rate limits."""

    json: dict[str, Any]
    limits: Mapping[str, str]
    sent: SentFields = NO_FIELDS


@dataclass(frozen=True)
class HttpConnection:
    """An open connection. `post` is one attempt; the SDK's own retries are off, they would escape the ledger."""

    client: AsyncOpenAI
    address: str
    model: str
    key: str
    timeout: float  # seconds for a whole attempt
    takes: frozenset[str]  # decoding fields that the teacher takes
    dialect: Dialect
    drop: bool = (
        False  # leave out a field that it does not take, where otherwise that stops the run
    )
    renamed: Mapping[str, str] = field(
        default_factory=dict
    )  # decoding fields that go by another name there
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    alternatives: int = 0  # of each token, to be told with their log probabilities
    learned: dict[str, str] = field(
        default_factory=dict
    )  # names that the server itself has asked for

    async def post(self, request: Request, name: str = "") -> Reply:
        """name: of this attempt. Raises Refused, Failure or Fatal."""
        import aiohttp
        import httpx2

        headers = self._headers | {DRAW: str(request.sample)} | ({NAME: name} if name else {})
        body = {**self.dialect.online, **self.body(request)}
        http = httpx2.Request(
            "POST",
            self._url,
            headers=headers,
            content=json.dumps(body, separators=(",", ":")).encode(),
        )
        try:
            async with asyncio.timeout(self.timeout):
                with at_most(bytes_of_reply(request, self.sized_by)):
                    # Not client.post: what the SDK does around a request costs as much time again as all the rest of it.
                    response = await self.client._client.send(http)
        except TimeoutError:
            raise Failure(
                f"{self.address} did not answer within {self.timeout:g} s",
                sent="unknown",
                retry=True,
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, aiohttp.ClientError, ValueError) as error:
            # ValueError: a name or text that no header may hold, of a cookie that the server has set before
            raise unanswered(error, self.address) from None
        limits = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in response.headers.raw
            if b"imit" in name
        }
        if response.status_code >= 300:
            raise self.learn(
                answered(
                    response.status_code,
                    response.headers,
                    response.content,
                    self.address,
                    self.model,
                    self.key,
                    limits,
                )
            )
        return Reply(self._read(response, limits), limits, SentFields.of(body))

    def _read(self, response: Any, limits: Mapping[str, str]) -> dict[str, Any]:
        """The JSON of a reply, in pieces or whole. Raises Refused, Failure or Fatal."""
        streams = is_stream(response.content, response.headers.get("content-type", ""))
        try:
            reply = whole_reply(response.content) if streams else exact_json(response.content)
        except ValueError:
            reply = None
        if self.dialect.is_reply(reply):
            assert reply is not None
            return reply
        failure = answered_with_error(
            reply, response.headers, self.address, self.model, self.key, limits
        )
        if failure is not None:
            raise failure
        what = (
            "a stream, which was not asked for and is no whole reply"
            if streams
            else "something that is no reply"
        )
        raise Failure(
            f"{self.address} answered {response.status_code} with {what}",
            sent="unknown",
            retry=True,
            limits=limits,
            of_the_request=True,
        )

    def learn(self, failure: Failure | Fatal | Refused) -> Failure | Fatal | Refused:
        """A field that the server wants under another name goes by that name from here on."""
        if isinstance(failure, Renamed):
            self.learned.setdefault(failure.field, failure.name)
        return failure

    @property
    def sized_by(self) -> Mapping[str, Any]:
        """Beside a request's own fields, those by which its answer grows."""
        told = {"top_logprobs": self.alternatives} if self.alternatives else {}
        return {**self.extra_body, **told}

    def _called(self, name: str) -> str:
        """A decoding field as the server knows it."""
        there = self.renamed.get(name, name)
        return self.learned.get(there, there)

    async def models(self) -> list[dict[str, Any]]:
        """What the endpoint lists as its models; [] where that is no list. Raises Failure or Fatal."""
        import httpx2
        from openai import Omit
        from openai._base_client import make_request_options

        # the SDK's own key goes to OpenAI's dialects alone; Google takes a Bearer for another kind of key
        headers: dict[str, str | Omit] = {"Authorization": Omit()}
        headers |= self.dialect.headers(self.key)
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self.client.get(
                    self.dialect.models_path(),
                    cast_to=httpx2.Response,
                    options=make_request_options(extra_headers=headers),
                )
            said = exact_json(answer.content)
        except TimeoutError:
            raise Failure(
                f"{self.address} lists no models within {self.timeout:g} s", sent="no", retry=False
            ) from None
        except ValueError:
            return []
        except broken_calls() as error:
            raise Failure(
                f"{self.address} lists no models ({type(error).__name__})", sent="no", retry=False
            ) from None
        return self.dialect.listed(said)

    @cached_property
    def _headers(self) -> dict[str, str]:
        sent = {
            name: value
            for name, value in self.client.default_headers.items()
            if isinstance(value, str)
            and not name.lower().startswith("x-stainless")
            and name.lower() != "authorization"  # the SDK's, which is only for OpenAI's dialects
        }
        return {"Accept-Encoding": "gzip, deflate"} | dict(self.dialect.headers(self.key)) | sent

    @cached_property
    def _url(self) -> httpx2.URL:
        import httpx2

        return httpx2.URL(self.address + self.dialect.path(self.model))

    def body(self, request: Request) -> dict[str, Any]:
        """What is sent. Fatal for a decoding field that is not taken."""
        return {
            **self.dialect.body(self.model, request, self._decoding(request)),
            **self.extra_body,
        }

    def _decoding(self, request: Request) -> dict[str, Any]:
        """The decoding fields as they are sent; another draw is another seed."""
        others = sorted(set(request.decoding) - self.takes)
        if others and not self.drop:
            raise Fatal(
                f"the teacher '{self.model}' does not take the decoding field '{others[0]}'",
                "take it out of the recipe, or set `teacher.on_unsupported: drop`",
            )
        fields = {
            self._called(name): value
            for name, value in request.decoding.items()
            if name in self.takes
        }
        if "seed" in fields:
            fields["seed"] += request.sample
        if self.alternatives:
            chat = "top_logprobs" in self.takes
            fields |= {"logprobs": True, "top_logprobs": self.alternatives} if chat else {}
            fields |= {} if chat else {"logprobs": self.alternatives}
        return fields


@contextlib.asynccontextmanager
async def http_client(
    address: str,
    *,
    key: str = "",
    timeout: float = 300.0,
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    ca_file: Path | None = None,
) -> AsyncIterator[AsyncOpenAI]:
    """A client for `address` (up to /v1), closed when the block ends. timeout: seconds between two signs of life.

    proxy: for all requests; without it the environment's (HTTPS_PROXY, NO_PROXY ...). None reaches our own machine by one.
    ca_file: PEM of a certificate authority to be trusted beside the known ones; SSL_CERT_FILE names those instead.
    """
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    limit = httpx2.Timeout(timeout, connect=min(CONNECT_WITHIN, timeout))
    ours = urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
    if not ours and proxy is None:
        _refuse_socks(urlsplit(address))
    transport = DefaultAioHttpClient(
        timeout=limit,
        verify=_trusted(ca_file),
        limits=httpx2.Limits(max_connections=1024, keepalive_expiry=IDLE_CONNECTIONS_LIVE),
        follow_redirects=False,  # a redirected POST would be a second attempt, or a GET
        proxy=None if ours else proxy,
        trust_env=not ours,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is kept
        event_hooks={"response": [bound]},
    )
    async with AsyncOpenAI(
        base_url=address,
        api_key=key or "none",
        max_retries=0,
        timeout=limit,
        http_client=transport,
        default_headers=dict(headers or {}),
    ) as client:
        yield client


def _refuse_socks(address: SplitResult) -> None:
    """aiohttp would speak HTTP to it. The address of a proxy may hold a password: it is not shown."""
    for name in (address.scheme, "all"):
        url = getproxies().get(name, "")
        if urlsplit(url).scheme.startswith("socks") and not proxy_bypass(address.hostname or ""):
            raise UserError(
                f"the environment names a SOCKS proxy ({name.upper()}_PROXY), which is not spoken here",
                "name one that speaks HTTP, like http://host:port, or unset it",
            )


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    import httpx2

    try:
        context = httpx2.create_ssl_context()  # of the environment, or the known ones
    except OSError:
        raise UserError(
            f"SSL_CERT_FILE ({os.environ.get('SSL_CERT_FILE')}) holds no certificates",
            "give the path of a PEM file, or unset it",
        ) from None
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise UserError(
                f"teacher.ca_file {ca_file} holds no certificates", "give the path of a PEM file"
            ) from None
    return context
