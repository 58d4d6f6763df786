"""The package gguf's writer, for which a vocabulary is packed at once and a tensor comes in pieces: the same file, in less time."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from gguf import GGUFWriter


class StoredInPieces(NamedTuple):
    """What `write_tensor_data` asks of an array: its size, and to go into a file."""

    nbytes: int
    pieces: Iterable[memoryview]

    def tofile(self, out: BinaryIO) -> None:
        written = sum(out.write(piece) for piece in self.pieces)
        assert written == self.nbytes, f"{written} bytes, {self.nbytes} were announced"


@cache
def packing_writer() -> type[GGUFWriter]:
    from gguf import GGUFEndian, GGUFValueType, GGUFWriter

    class PackingWriter(GGUFWriter):
        """Its own way packs each of a vocabulary's 150,000 texts and numbers by a call of its own."""

        def _pack_val(
            self, val: Any, vtype: GGUFValueType, add_vtype: bool, sub_type: Any = None
        ) -> bytes:
            kinds = set(map(type, val)) if vtype == GGUFValueType.ARRAY else set()
            plain = type(val) is list and kinds in ({str}, {int}, {float})
            if not plain or sub_type is not None or self.endianess != GGUFEndian.LITTLE:
                packed: bytes = super()._pack_val(val, vtype, add_vtype, sub_type)
                return packed
            head = struct.pack("<IQ", GGUFValueType.get_type(val[0]), len(val))
            return (struct.pack("<I", vtype) if add_vtype else b"") + head + _packed(val)

    return PackingWriter


def _packed(values: Sequence[Any]) -> bytes:
    if isinstance(values[0], str):
        texts = list(map(str.encode, values))
        parts = [b""] * (2 * len(texts))
        parts[::2] = map(struct.Struct("<Q").pack, map(len, texts))
        parts[1::2] = texts
        return b"".join(parts)
    return struct.pack(f"<{len(values)}{'i' if isinstance(values[0], int) else 'f'}", *values)
