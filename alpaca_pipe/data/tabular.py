"""Rows of tables: CSV, Parquet, and the folders that `datasets` saves; each row with its line or number."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.compression import BreaksOff
from alpaca_pipe.data.json_rows import lines
from alpaca_pipe.data.records import LONGEST, Found, Record, Unreadable, bad_byte, kept_text

_BATCH = 500  # rows of a table in memory at a time


def csv_rows(data: Iterable[bytes], delimiter: str) -> Iterator[Found]:
    """The rows below a header line; a cell in quotes may hold line ends. at: the line that the row begins on."""
    csv.field_size_limit(LONGEST)
    reader = csv.reader(_texts(data), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    at = 1
    try:
        for cells in reader:
            if header is None:
                header = [name.strip() for name in cells] or None
            elif cells:
                yield _csv_row(at, header, cells)
            at = reader.line_num + 1
    except BreaksOff as broken:
        yield Unreadable(
            reader.line_num + 1,
            str(broken),
            "fetch it again, or unpack what is left of it",
            ends=True,
        )
    except csv.Error as error:
        yield Unreadable(
            at,
            f"not CSV: {error}",
            "mend this row: a quote inside a cell is written twice, a cell with line ends "
            "stands in quotes",
            ends=True,
        )


def _csv_row(at: int, header: list[str], cells: list[str]) -> Found:
    line = kept_text(cells)
    if len(cells) != len(header):
        return Unreadable(
            at,
            f"the row has {len(cells)} cells, the header names {len(header)}",
            "write one cell for each column; a cell with a comma stands in quotes",
            line,
        )
    if byte := bad_byte(line) or next(filter(None, map(bad_byte, cells)), ""):
        return Unreadable(
            at,
            f"not UTF-8: {byte}",
            "convert the file: iconv -f latin1 -t utf-8 FILE > FIXED",
            line,
        )
    if any("\0" in cell for cell in cells):
        return Unreadable(
            at,
            "it holds NUL bytes: the file is damaged",
            "fetch it again, or remove this place",
            line,
        )
    return Record(at, dict(zip(header, cells, strict=True)))


def _texts(data: Iterable[bytes]) -> Iterator[str]:
    for number, line in lines(data):
        if line is None:
            raise csv.Error(
                f"the line is longer than {LONGEST >> 20} MiB, which no instruction data is"
            )
        yield line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape") + "\n"


def parquet_rows(path: Path, wanted: Collection[str]) -> Iterator[Found]:
    """The rows of a Parquet file, their `wanted` columns alone where it has any; at: the row's number."""
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name in wanted] or None
            yield from _numbered(file.iter_batches(batch_size=_BATCH, columns=columns))
    except (ValueError, OSError, KeyError) as error:
        raise UserError(
            f"{path}: not a whole Parquet file: {_first_line(error)}", "fetch it again"
        ) from None


def saved_rows(path: Path, wanted: Collection[str]) -> Iterator[Found]:
    """The rows of a folder that `Dataset.save_to_disk` made."""
    import datasets

    try:
        found = datasets.load_from_disk(str(path))
        if isinstance(found, datasets.DatasetDict):
            if len(found) != 1:
                raise UserError(
                    f"{path}: a dataset of {len(found)} splits: {', '.join(found)}",
                    f"name one of them: {path / next(iter(found), '')}",
                )
            found = next(iter(found.values()))
        yield from table_rows(found, wanted)
    except (ValueError, OSError, KeyError, TypeError) as error:  # Arrow's own are kinds of these
        raise UserError(
            f"{path}: `datasets` cannot read this folder: {_first_line(error)}", "save it again"
        ) from None


def table_rows(dataset: Any, wanted: Collection[str]) -> Iterator[Found]:
    """The rows of an opened Dataset, their `wanted` columns alone where it has any."""
    if columns := [name for name in dataset.column_names if name in wanted]:
        dataset = dataset.select_columns(columns)
    yield from _numbered(dataset.with_format("arrow").iter(_BATCH))


def _numbered(batches: Iterable[Any]) -> Iterator[Found]:
    number = 0
    for batch in batches:
        for value in batch.to_pylist():
            number += 1
            yield Record(number, value)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
