"""How many bytes of a server's answer are read: by what was asked for, whatever its headers say, packed or not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.completion import Request
from alpaca_pipe.ledger.budget import OUTPUT_LIMITS, limit_of
from alpaca_pipe.teachers.base import Failure

if TYPE_CHECKING:
    from aiohttp import ClientResponse

# Beside what the tokens take: a reply may bring what a model thought beside its limit, a million tokens of four letters.
_AROUND = 4 << 20
_A_TOKEN = 1 << 10  # bytes, escaped and with its log probability; each of its top ones again
_NO_LIMIT = 1 << 14  # tokens, where a request sets none (of a server that costs nothing)
_AN_ERROR = 1 << 16  # of an answer that is no 2xx: its beginning says what is wrong
A_LIST = _AROUND  # of models, batches or files
_A_LINE = 1 << 14  # around a reply in a batch's file
MB = 1e6
_GZIP = b"\x1f"  # how such a body begins
_AT_A_TIME = 1 << 16  # bytes


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


async def read_bounded(response: ClientResponse, most: int) -> bytes:
    """The body of an answer, unpacked piece by piece and of at most so many bytes. An error's is cut at its bound; another
    one raises EndlessAnswer there, and ValueError where it is packed otherwise than it says."""
    cut = response.status >= 300
    most = min(most, _AN_ERROR) if cut else most
    layers = _layers(response.headers.get("Content-Encoding", ""))
    body, came = bytearray(), 0
    async for piece in response.content.iter_any():
        came += len(piece)
        for part in _unpacked(piece, layers) if layers else (piece,):
            body += part
            if max(len(body), came) > most:  # what comes behind the packed body adds nothing to it
                response.close()
                if cut:
                    return bytes(body[:most])
                raise EndlessAnswer(response.url.host or "the server", most)
    return bytes(body)


class _Layer:
    """One packing. Some servers say deflate and leave out its header."""

    def __init__(self) -> None:
        self._unpacks: Any = None
        self.left = b""

    def unpack(self, piece: bytes) -> bytes:
        """The next tens of kilobytes; `left` is what is to be given again."""
        if self._unpacks is None:
            bare = piece[0] & 0xF != zlib.DEFLATED and piece[:1] != _GZIP
            self._unpacks = zlib.decompressobj(-zlib.MAX_WBITS if bare else 32 + zlib.MAX_WBITS)
        part: bytes = self._unpacks.decompress(piece, _AT_A_TIME)
        self.left = self._unpacks.unconsumed_tail
        return part


def _layers(packed: str) -> list[_Layer]:
    """From the outermost in; an encoding that we never ask for is none: that body is read as it is."""
    names = [name.strip() for name in reversed(packed.lower().split(","))]
    return [_Layer() for name in names if name in ("gzip", "x-gzip", "deflate")]


def _unpacked(piece: bytes, layers: list[_Layer]) -> Iterator[bytes]:
    """A piece through all layers: a small one may become gigabytes."""
    if not layers:
        yield piece
        return
    try:
        more = bool(piece)
        while more:
            part, piece = layers[0].unpack(piece), layers[0].left
            # without a header, zlib may have read all of it and hold back what did not fit
            more = bool(piece) or len(part) == _AT_A_TIME
            yield from _unpacked(part, layers[1:])
    except zlib.error:
        raise ValueError("it is not packed as it says") from None


def _bytes_of_tokens(request: Request, extra: Mapping[str, Any]) -> int:
    decoding = {**request.decoding, **extra} if extra else request.decoding
    limits = [
        limit for name in OUTPUT_LIMITS if (limit := limit_of(decoding.get(name))) is not None
    ]
    alternatives = limit_of(decoding.get("top_logprobs") or decoding.get("logprobs")) or 0
    return max(limits, default=_NO_LIMIT) * _A_TOKEN * (1 + min(alternatives, 20))
