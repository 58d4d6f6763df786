"""Rows of CSV and its kin, each with the line that it begins on."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from alpaca_pipe.data.compression import BreaksOff
from alpaca_pipe.data.json_rows import lines
from alpaca_pipe.data.packed_cells import unpacked_cells
from alpaca_pipe.data.records import LONGEST, Found, Record, Unreadable, bad_byte, kept_text


def csv_rows(data: Iterable[bytes], delimiter: str) -> Iterator[Found]:
    """The rows below a header line; a cell in quotes may hold line ends. at: the line that the row begins on."""
    csv.field_size_limit(LONGEST)
    reader = csv.reader(_texts(data), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    at = 1
    try:
        for cells in reader:
            if header is None and cells and cells[0].lower().startswith("sep="):
                pass  # a spreadsheet's word for its delimiter
            elif header is None:
                header = [name.strip() for name in cells] or None
                if twice := [
                    name for name in header or () if name and (header or []).count(name) > 1
                ]:
                    yield _named_twice(at, twice[0])
                    return
            elif cells and not (delimiter == "|" and _is_ruled(cells)):
                bare = [cell.strip() for cell in cells] if delimiter == "|" else cells
                yield _csv_row(at, header, bare)
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
            "fix this row: a quote inside a cell is written twice, a cell with line ends "
            "stands in quotes",
            ends=True,
        )


def _is_ruled(cells: list[str]) -> bool:
    """The line below the header of a Markdown table."""
    return all(set(cell.strip()) <= set("-:") for cell in cells) and any(map(str.strip, cells))


def _named_twice(at: int, name: str) -> Unreadable:
    return Unreadable(
        at, f"the header names '{name}' twice", "give each column a name of its own", ends=True
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
    return Record(at, unpacked_cells(dict(zip(header, cells, strict=True))))


def _texts(data: Iterable[bytes]) -> Iterator[str]:
    for number, line in lines(data):
        if line is None:
            raise csv.Error(
                f"the line is longer than {LONGEST >> 20} MiB, which no instruction data is"
            )
        yield line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape") + "\n"
