"""One HTTP attempt over OpenAI's protocol, what both dialects share: client, body, token classes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alpaca_pipe.core.completion import Finish, Request, Usage
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.openai_errors import failure_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_WITHIN = 10.0  # seconds
# Servers close idle connections after 5 s (uvicorn, llama.cpp); a request into a closing one would be booked as lost.
IDLE_CONNECTIONS_LIVE = 2.0  # seconds
# Which draw of one question this is; servers ignore it, our scripted one answers by it.
DRAW = "X-Draw"
NAME = "X-Client-Request-Id"  # OpenAI keeps it in its logs

_FINISH: dict[Any, Finish] = {"stop": "stop", "length": "length", "content_filter": "content_filter",
                              "tool_calls": "stop", "function_call": "stop"}


@dataclass(frozen=True)
class Wire:
    """An open connection. `post` is one attempt; the SDK's own retries are off, they would escape the ledger."""

    client: AsyncOpenAI
    address: str
    model: str
    key: str
    timeout: float  # seconds for a whole attempt
    takes: frozenset[str]  # decoding fields that the teacher takes
    drop: bool = False  # leave out a field that it does not take, where otherwise that stops the run
    renamed: Mapping[str, str] = field(default_factory=dict)  # decoding fields that go by another name there
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    async def post(self, path: str, request: Request, asked: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        """The reply's JSON. name: of this attempt. Raises Refused, Failure or Fatal."""
        import httpx2
        from openai import OpenAIError

        headers = {DRAW: str(request.sample)} | ({NAME: name} if name else {})
        body = {"model": self.model, **asked, **self._decoding(request), **self.extra_body}
        try:
            async with asyncio.timeout(self.timeout):
                response = await self.client.post(path, body=body, cast_to=httpx2.Response,
                                                  options={"headers": headers})
            reply = response.json()
        except TimeoutError:
            raise Failure(f"{self.address} did not answer within {self.timeout:g} s", sent="unknown",
                          retry=True) from None
        except OpenAIError as error:
            raise failure_of(error, self.address, self.model, self.key) from None
        except ValueError:
            reply = None
        if not isinstance(reply, dict) or not reply.get("choices"):
            raise Failure(f"{self.address} answered 200 with something that is no reply", sent="unknown", retry=True)
        return reply

    def _decoding(self, request: Request) -> dict[str, Any]:
        """The decoding fields as they are sent; another draw is another seed."""
        others = sorted(set(request.decoding) - self.takes)
        if others and not self.drop:
            raise Fatal(f"the teacher '{self.model}' does not take the decoding field '{others[0]}'",
                        "take it out of the recipe, or set `teacher.on_unsupported: drop`")
        fields = {self.renamed.get(name, name): value for name, value in request.decoding.items() if name in self.takes}
        if "seed" in fields:
            fields["seed"] += request.sample
        return fields


@contextlib.asynccontextmanager
async def http_client(address: str, *, key: str = "", timeout: float = 300.0,
                      headers: Mapping[str, str] | None = None) -> AsyncIterator[AsyncOpenAI]:
    """A client for `address` (up to /v1), closed when the block ends. timeout: seconds between two signs of life."""
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    limit = httpx2.Timeout(timeout, connect=min(CONNECT_WITHIN, timeout))
    ours = urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
    transport = DefaultAioHttpClient(
        timeout=limit,
        limits=httpx2.Limits(max_connections=1024, keepalive_expiry=IDLE_CONNECTIONS_LIVE),
        follow_redirects=False,  # a redirected POST would be a second attempt, or a GET
        trust_env=not ours)  # a proxy of the environment does not reach our own machine
    async with AsyncOpenAI(base_url=address, api_key=key or "none", max_retries=0, timeout=limit, http_client=transport,
                           default_headers=dict(headers or {})) as client:
        yield client


def finish_of(said: Any) -> Finish:
    """An unknown reason counts as cut off, which is never read as whole."""
    return _FINISH.get(said, "length")


def usage_of(said: Mapping[str, Any] | None) -> Usage:
    """OpenAI's `usage` in classes that exclude each other.

    Its prompt_tokens contain the cached ones and its completion_tokens the reasoning ones; where a provider leaves the
    reasoning out of completion_tokens, its total_tokens give that away. Where it says nothing, all classes are 0.
    """
    said = said or {}
    prompt, out = int(said.get("prompt_tokens") or 0), int(said.get("completion_tokens") or 0)
    details_in = said.get("prompt_tokens_details") or {}
    read = min(int(details_in.get("cached_tokens") or 0), prompt)
    written = min(int(details_in.get("cache_write_tokens") or 0), prompt - read)
    reasoning = int((said.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0)
    beside = reasoning > 0 and said.get("total_tokens") == prompt + out + reasoning
    reasoning = reasoning if beside else min(reasoning, out)
    return Usage(uncached_in=prompt - read - written, cache_read=read, cache_write=written,
                 visible_out=out if beside else out - reasoning, reasoning_out=reasoning)
