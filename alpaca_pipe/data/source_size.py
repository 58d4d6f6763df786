"""How many rows will come in, before any is judged: counted, in packed files too, or from the first part of a large one."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.compression import BreaksOff, Opens, chunks
from alpaca_pipe.data.source_kinds import HubId

_BYTES_A_ROW = 430  # of the released 52K: where a file's form tells nothing
UNCOUNTED = 10_000  # of a dataset that is not fetched yet: said wherever it is used
_MOST = (
    64 << 20
)  # unpacked bytes that are looked at; of a larger file the rest is taken as these are
_FIRST_KEY = re.compile(rb'(?:\xef\xbb\xbf)?\s*\[\s*\{\s*("[^"\\]{1,80}"\s*:)')
_SAMPLE = 256 << 10  # bytes of a file that does not lie in lines, whose rows are counted


def rows_expected(source: Path | HubId, first: int | None = None, split: str | None = None) -> int:
    """About how many rows a source holds, of a folder those of its split; of what is not here the first so many, or
    UNCOUNTED."""
    if isinstance(source, HubId):
        return first or UNCOUNTED
    return max(1, sum(_counted(path, path.stat().st_mtime_ns) for path in _files(source, split)))


def rows_to_train(tables: Mapping[str, Any], otherwise: int = 0) -> int:
    """About how many rows curation leaves to train on: of `curate.from`, or of what generate makes, less those that are held out.
    tables: all of the recipe, by name; otherwise: rows where it says of none."""
    curate = tables.get("curate")
    source, first = getattr(curate, "source", None), getattr(curate, "first", None)
    rows = (
        rows_expected(source, first, getattr(curate, "split", None))
        if source
        else getattr(tables.get("generate"), "count", otherwise)
    )
    return max(1, min(rows, first or rows) - getattr(curate, "held_out", 0))


def _files(source: Path, split: str | None) -> list[Path]:
    """Those that will be read; of a folder that cannot be, all: the run says so."""
    if source.is_file():
        return [source]
    from alpaca_pipe.data.source_files import files_of

    try:
        found = [path for path, _, _ in files_of(source, None, split) if isinstance(path, Path)]
    except UserError:
        found = []
    if found and source not in found:
        return found
    return [path for path in source.rglob("*") if path.is_file()]


@lru_cache(maxsize=256)
def _counted(path: Path, changed: int) -> int:
    try:
        if path.suffix == ".parquet":
            return _of_parquet(path)
        from alpaca_pipe.data.archives import archive_kind, packed_files

        if kind := archive_kind(path):
            size = path.stat().st_size
            return sum(_of_text(file, size) for _, file in packed_files(path, kind))
        return _of_text(path, path.stat().st_size)
    except (UserError, OSError, ValueError):
        return path.stat().st_size // _BYTES_A_ROW  # damaged: the run says so


def _of_parquet(path: Path) -> int:
    from pyarrow import lib, parquet

    try:
        return int(parquet.read_metadata(path).num_rows)
    except lib.ArrowException:
        return path.stat().st_size // _BYTES_A_ROW


class _Told:
    """A file that says how far it was read."""

    def __init__(self, file: Path | Opens) -> None:
        self._file = file
        self.opened: IO[Any] = io.BytesIO()

    def open(self, mode: str = "rb") -> IO[Any]:
        self.opened = self._file.open(mode)
        return self.opened


def _of_text(file: Path | Opens, size: int) -> int:
    """Rows of one file, unpacked on the way. size: its bytes as they lie there, of an archive the archive's."""
    told, first, read, lines, share, ended = _Told(file), b"", 0, 0, 1.0, True
    key, keys, tail = b"", 0, b""
    try:
        for data in chunks(told):
            if len(first) < _SAMPLE:
                first += data[:_SAMPLE]
            read += len(data)
            lines += data.count(b"\n")
            key = key or _first_key(first)
            if key:
                keys += (tail + data).count(key)
                tail = data[-len(key) + 1 :]
            ended = data.endswith(b"\n")
            if read >= _MOST:
                share = min(max(told.opened.tell() / size, 1e-6), 1.0)
                break
    except BreaksOff:
        pass
    lines += not ended
    sample = first[:_SAMPLE]
    if _is_lines(sample):
        return round((lines - _blank(sample)) / share)
    rows = _of_array(sample) or _of_table(sample)
    if key and rows and abs(sample.count(key) - rows[0]) <= 1:  # each row has it once
        return round(keys / share)
    if not rows:
        return round(read / share) // _BYTES_A_ROW
    return round(rows[0] * max(read / rows[1], 1.0) / share)


def _is_lines(sample: bytes) -> bool:
    """Whether each line is a JSON object."""
    line = sample.lstrip().partition(b"\n")[0]
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _first_key(sample: bytes) -> bytes:
    """What the first object of a JSON list begins with, as it stands in every row like it: `"instruction":`."""
    found = _FIRST_KEY.match(sample)
    return found[1] if found else b""


def _blank(sample: bytes) -> int:
    return sum(not line.strip() for line in sample.split(b"\n")[:-1])


def _of_array(sample: bytes) -> tuple[int, int] | None:
    """(rows, their bytes) of the beginning of a JSON list; None where it is none."""
    text = sample.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    if not text.startswith("["):
        return None
    read, at, rows, decoder = len(sample) - len(text.encode()), 1, 0, json.JSONDecoder()
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            _, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        rows += 1
    return (rows, read + len(text[:at].encode())) if rows else None


def _of_table(sample: bytes) -> tuple[int, int] | None:
    """The same of a table of separated values with a head; None for text of one column, or none."""
    text = sample.decode("utf-8", "ignore")
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    if not head.count(mark):
        return None
    reader: Any = csv.reader(io.StringIO(text), delimiter=mark)
    try:
        rows = sum(bool(row) for row in reader) - 1
    except csv.Error:
        return None
    return (rows, len(text.encode())) if rows > 0 else None
