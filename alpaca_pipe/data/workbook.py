"""Spreadsheets (xlsx): the first row of a sheet names the columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.archives import AnyFile
from alpaca_pipe.data.packed_cells import unpacked_cells
from alpaca_pipe.data.records import Found, Record
from alpaca_pipe.data.splits import chosen_split


def workbook_rows(path: AnyFile, split: str | None) -> Iterator[Found]:
    """The rows of the one sheet that holds any, or of the sheet `split`. Raises UserError without openpyxl."""
    try:
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError:
        raise UserError(
            f"{path}: a spreadsheet, and its reader is not installed",
            "pip install 'alpaca-pipe[xlsx]', or save it as CSV (UTF-8)",
        ) from None
    import zipfile
    import zlib

    try:
        with path.open("rb") as stream:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            sheets = {sheet.title: sheet for sheet in book.worksheets if _filled(sheet)}
            if not sheets:
                raise UserError(f"{path}: the workbook has no rows", "name a file that has some")
            name = next(iter(sheets))
            if len(sheets) > 1 or split:
                name = chosen_split(sheets, split, f"{path}: the workbook")
            yield from _rows(sheets[name])
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        InvalidFileException,
        NotImplementedError,
        SyntaxError,  # of its XML
        *(KeyError, ValueError, TypeError, AttributeError),  # of openpyxl, where a part is missing
    ) as error:
        raise _not_whole(path, error) from None


def _not_whole(path: AnyFile, error: Exception) -> UserError:
    return UserError(
        f"{path}: not a whole workbook: {error}", "save it again, or save it as CSV (UTF-8)"
    )


def _filled(sheet: Any) -> bool:
    return any(
        any(cell is not None for cell in row)
        for row in sheet.iter_rows(max_row=2, values_only=True)
    )


def _rows(sheet: Any) -> Iterator[Found]:
    header: list[str] | None = None
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        if all(cell is None for cell in cells):
            continue
        if header is None:
            header = [str(cell).strip() if cell is not None else "" for cell in cells]
            continue
        values = {name: cell for name, cell in zip(header, cells, strict=False) if name}
        yield Record(number, unpacked_cells(values))
