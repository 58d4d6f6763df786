"""What stands between the cells of a CSV: told by its header and by the lines below it."""

from __future__ import annotations

import csv
import io

from alpaca_pipe.data.shapes.keys import name_of

_MARKS = (",", ";", "\t", "|")


def delimiter_of(first: bytes) -> str:
    """The mark that cuts the header into names, of which most are known or which cuts the rows below alike; "" where none
    does. `first`: the first bytes of the file."""
    text = first.decode("utf-8-sig", "replace")
    if text[:4].lower() == "sep=" and text[5:6] in ("\r", "\n"):  # as spreadsheets say it
        return text[4]
    known = [(sum(_is_known(name) for name in _header(text, mark)), mark) for mark in _MARKS]
    best = max(known, key=lambda one: one[0])
    if best[0] >= 2:
        return best[1]
    alike = next((mark for mark in _MARKS if _cuts_alike(text, mark)), "")
    return alike or ("," if _is_one_column(text) else "")


def _is_one_column(text: str) -> bool:
    """A header of one name that is known, and cells in quotes below it: `messages`, `text`."""
    names = _header(text, ",")
    below = text.partition("\n")[2].lstrip()
    return len(names) == 1 and name_of(names[0]).meaning not in ("", "meta") and below[:1] == '"'


def _header(text: str, mark: str) -> list[str]:
    try:
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def _is_known(name: str) -> bool:
    return bool(name) and len(name) < 60 and name_of(name).meaning != ""


def _cuts_alike(text: str, mark: str) -> bool:
    """Whether each of the first rows has as many cells as the header, two or more; names are short, and each its own."""
    names = _header(text, mark)
    if len(names) < 2 or len(set(names)) < len(names):
        return False
    if any(not name or len(name) > 40 or name[-1] in ".?!" for name in names):
        return False
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark))[1:20]
    except csv.Error:
        return False
    whole = rows[:-1] if len(rows) > 1 else rows
    return bool(whole) and all(len(row) == len(names) for row in whole if row)
