"""What a GGUF file says of itself, read without a library: its metadata and the table of its tensors."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass

# value type -> struct code (llama.cpp, docs of the GGUF format); 8 is a string, 9 an array
_SCALAR = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
# tensor type -> (elements, bytes) of a block; those that are not here have a size that is not checked
_BLOCK = {
    0: (1, 4), 1: (1, 2), 30: (1, 2), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8),
    2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
}  # fmt: skip


class NoGguf(ValueError):
    """The file is not a GGUF, or is cut short: a part of a sentence that says so."""


@dataclass(frozen=True)
class GgufHeader:
    """metadata: scalars and strings; of an array only how many values it has. tensors: name -> (shape, type number)."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, tuple[tuple[int, ...], int]]

    @property
    def cut(self) -> str | None:
        """The name under which the file keeps how its vocabulary cuts text; None where its vocabulary is of another kind."""
        if self.metadata.get("tokenizer.ggml.model") != "gpt2":
            return None
        return str(self.metadata.get("tokenizer.ggml.pre", ""))


def read_gguf_header(path: Path) -> GgufHeader:
    """Raises NoGguf, OSError. Remembered as long as the file is unchanged."""
    state = path.stat()
    return _read(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, size: int, changed: int) -> GgufHeader:
    if size < 24:
        raise NoGguf(f"has {size} bytes, which no GGUF has")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _parsed(data, size)
        except (struct.error, IndexError):
            raise NoGguf("is cut short inside its header") from None


def _parsed(data: mmap.mmap, size: int) -> GgufHeader:
    if data[:4] != b"GGUF":
        raise NoGguf("does not begin as a GGUF does")
    version, tensors, pairs = struct.unpack_from("<IQQ", data, 4)
    if version not in (2, 3):
        raise NoGguf(f"is GGUF of version {version}, and versions 2 and 3 are read")
    at, metadata = 24, dict[str, Any]()
    for _ in range(pairs):
        key, at = _text(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        metadata[key], at = _value(data, at + 4, kind)
    table, ends = dict[str, tuple[tuple[int, ...], int]](), [0]
    for _ in range(tensors):
        name, at = _text(data, at)
        (dimensions,) = struct.unpack_from("<I", data, at)
        shape = struct.unpack_from(f"<{dimensions}Q", data, at + 4)
        at += 4 + 8 * dimensions
        kind, offset = struct.unpack_from("<IQ", data, at)
        at += 12
        table[name] = (tuple(reversed(shape)), kind)  # as torch counts: the fastest one last
        elements, width = _BLOCK.get(kind, (1, 0))
        ends.append(offset + prod(shape) // elements * width)
    step = metadata.get("general.alignment", 32)
    needed = -(-at // step) * step + max(ends)
    if needed > size:
        raise NoGguf(f"is cut short: it has {size:,} bytes, and its tensors end at {needed:,}")
    return GgufHeader(metadata, table)


def _text(data: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    if at + 8 + length > len(data):
        raise IndexError
    return data[at + 8 : at + 8 + length].decode("utf-8", "replace"), at + 8 + length


def _value(data: mmap.mmap, at: int, kind: int) -> tuple[Any, int]:
    if kind == 8:
        return _text(data, at)
    if kind != 9:
        code = "<" + _SCALAR[kind] if kind in _SCALAR else ""
        if not code:
            raise NoGguf(f"has a value of the unknown type {kind}")
        return struct.unpack_from(code, data, at)[0], at + struct.calcsize(code)
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner in _SCALAR:
        return count, at + count * struct.calcsize("<" + _SCALAR[inner])
    if inner != 8:
        raise NoGguf(f"has an array of the unknown type {inner}")
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", data, at)
        at += 8 + length
    return count, at
