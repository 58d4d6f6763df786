"""The bytes of a file, unpacked on the way; what it is packed with is seen from its first bytes, never from its name."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from pathlib import Path
from tarfile import TarError
from typing import IO, Any, Protocol
from zipfile import BadZipFile

from alpaca_pipe.core.errors import UserError

CHUNK = 1 << 20  # bytes read at a time


class Opens(Protocol):
    """A file that can be read: a path, or one inside an archive."""

    def open(self, mode: str = "rb") -> IO[bytes]: ...


class BreaksOff(UserError):
    """The bytes end before the file does: it was cut off or damaged. The sentence says what is left to do."""


def chunks(path: Path | Opens) -> Iterator[bytes]:
    """The unpacked bytes, about CHUNK at a time. Raises BreaksOff after all that could be read, UserError where nothing can."""
    try:
        with path.open("rb") as plain:
            name = ""
            try:
                name, unpack = packing(plain.read(8))
                plain.seek(0)
                stream = unpack(plain)
                while data := stream.read(CHUNK):
                    yield data
            except (EOFError, OSError, zlib.error, LZMAError, BadZipFile, TarError) as error:
                if not name and isinstance(error, OSError):
                    raise
                raise BreaksOff(
                    f"the {name or 'archived'} file breaks off or is damaged here ({_short(error)})"
                ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}", "name a file that you may read"
        ) from None


def head(path: Path | Opens, size: int = 1 << 16) -> bytes:
    """The first bytes, unpacked; fewer where the file is shorter or breaks off before. Blanks that would fill them all are
    passed over."""
    found = b""
    try:
        for data in chunks(path):
            found += data
            if len(found) >= size and not found[:size].strip():
                found = found.lstrip() or found[:1]
            if len(found) >= size:
                break
    except BreaksOff as broken:
        if not found:
            raise UserError(f"{path}: {broken}", "fetch it again") from None
    return found[:size]


def packing(first: bytes) -> tuple[str, Callable[[Any], Any]]:
    """(what a file that begins so is packed with, how to unpack its stream); "" for one that is not packed."""
    for mark, name, unpack in _PACKINGS:
        if first.startswith(mark):
            return name, unpack
    return "", lambda stream: stream


class _Parts:
    """Reads a stream in parts as they come: what was unpacked before a break is not lost with it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int) -> Any:
        return self._stream.read1(size)


def _gzip(stream: Any) -> Any:
    import gzip

    return _Parts(gzip.GzipFile(fileobj=stream))


def _bz2(stream: Any) -> Any:
    import bz2

    return _Parts(bz2.BZ2File(stream))


def _xz(stream: Any) -> Any:
    import lzma

    return _Parts(lzma.LZMAFile(stream))


class _Zstandard:
    """Arrow's reader; in small parts, since the part in which a break lies is lost."""

    def __init__(self, stream: Any) -> None:
        import pyarrow

        self._stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(stream, "r"), "zstd")

    def read(self, size: int) -> Any:
        return self._stream.read(1 << 16)


_PACKINGS: tuple[tuple[bytes, str, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", "gzip", _gzip),
    (b"\x28\xb5\x2f\xfd", "zstd", _Zstandard),
    (b"BZh", "bzip2", _bz2),
    (b"\xfd7zXZ\x00", "xz", _xz),
)


def _short(error: BaseException) -> str:
    return str(error).split("\n")[0] or type(error).__name__
