"""Rows in columns, for a page of plain text."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence

from alpaca_pipe.core.screen import Styled

Cell = str | Styled


def in_columns(
    rows: Sequence[Sequence[Cell]], *, right: Collection[int] = (), gap: int = 2, most: int = 40
) -> Iterator[list[Cell]]:
    """The parts of each row's line. right: columns that end together.  most: characters of a cell, a longer one is cut."""
    cut = [[_cut(cell, most) for cell in row] for row in rows]
    wide = [max(_width(text(cell)) for cell in column) for column in zip(*cut, strict=True)]
    for row in cut:
        line: list[Cell] = []
        for place, (cell, width) in enumerate(zip(row, wide, strict=True)):
            blank = " " * (width - _width(text(cell)))
            line += [blank, cell] if place in right else [cell, blank]
            line.append(" " * gap)
        while line and not text(line[-1]).strip():
            line.pop()
        yield line


def text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Styled) else cell


def _cut(cell: Cell, most: int) -> Cell:
    whole = text(cell)
    if len(whole) <= most:
        return cell
    short = f"{whole[: most - 1]}…"
    return cell._replace(text=short) if isinstance(cell, Styled) else short


def _width(text: str) -> int:
    """Columns of a terminal that it takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
