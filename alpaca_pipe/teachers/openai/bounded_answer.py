"""How many bytes of a server's answer are read: by what was asked for, whatever its headers say, packed or not."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.completion import Request
from alpaca_pipe.ledger.budget import OUTPUT_LIMITS, limit_of
from alpaca_pipe.teachers.base import Failure

if TYPE_CHECKING:
    import httpx2

# Beside what the tokens take: a reply may bring what a model thought beside its limit, a million tokens of four letters.
_AROUND = 4 << 20
_A_TOKEN = 1 << 10  # bytes, escaped and with its log probability; each of its top ones again
_NO_LIMIT = 1 << 14  # tokens, where a request sets none (of a server that costs nothing)
_AN_ERROR = 1 << 16  # of an answer that is no 2xx: its beginning says what is wrong
_A_LINE = 1 << 14  # around a reply in a batch's file
MB = 1e6

_most: ContextVar[int] = ContextVar("most", default=_AROUND)


class EndlessAnswer(Failure):
    """An answer above its bound. It may be billed; asking again would bring the same."""

    def __init__(self, host: str, most: int) -> None:
        super().__init__(
            f"{host} answered with more than {most / MB:.1f} MB, far more than was asked for",
            sent="unknown",
            retry=False,
        )


def bytes_of_reply(request: Request, extra: Mapping[str, Any]) -> int:
    """The most that the answer to a request can have."""
    return _AROUND + _bytes_of_tokens(request, extra)


def bytes_of_batch(requests: list[Request], lines: int, extra: Mapping[str, Any]) -> int:
    """The most that a file of answers can have: `lines` of them, some of whose requests are known."""
    known = max((_bytes_of_tokens(request, extra) for request in requests), default=_AROUND)
    return 4 * _AROUND + lines * (_A_LINE + known)


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
    """Answers within this block may have so many bytes."""
    before = _most.set(size)
    try:
        yield
    finally:
        _most.reset(before)


async def bound(response: httpx2.Response) -> None:
    """A hook of the client: from here on the answer's body ends at its bound. An error's is cut there, another raises
    EndlessAnswer when it is read."""
    response.stream = _bounded_stream()(response, _most.get())
    for name in ("Content-Encoding", "Content-Length"):
        if name in response.headers:
            del response.headers[name]


def _bytes_of_tokens(request: Request, extra: Mapping[str, Any]) -> int:
    decoding = {**request.decoding, **extra} if extra else request.decoding
    limits = [
        limit for name in OUTPUT_LIMITS if (limit := limit_of(decoding.get(name))) is not None
    ]
    alternatives = limit_of(decoding.get("top_logprobs") or decoding.get("logprobs")) or 0
    return max(limits, default=_NO_LIMIT) * _A_TOKEN * (1 + min(alternatives, 20))


@cache
def _bounded_stream() -> Any:
    """Made when it is needed: httpx2 is loaded with the first client."""
    import httpx2

    class BoundedStream(httpx2.AsyncByteStream):
        """The body of an answer, unpacked piece by piece."""

        def __init__(self, response: httpx2.Response, most: int) -> None:
            self.host = response.url.host
            self.cut = response.status_code >= 300
            self.most = min(most, _AN_ERROR) if self.cut else most
            self.inner: Any = response.stream
            packed = response.headers.get("Content-Encoding", "identity")
            if packed != "identity":
                self.inner = httpx2.Response(
                    response.status_code,
                    headers={"Content-Encoding": packed},
                    stream=response.stream,
                )

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = self.most
            pieces = self.inner
            if isinstance(pieces, httpx2.Response):
                pieces = pieces.aiter_bytes()
            async for piece in pieces:
                left -= len(piece)
                if left >= 0:
                    yield piece
                elif self.cut:
                    yield piece[:left]
                    return
                else:
                    raise EndlessAnswer(self.host, self.most)

        async def aclose(self) -> None:
            await self.inner.aclose()

    return BoundedStream
