"""Plain texts from files, and the part of them that is never trained on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.text import whole
from alpaca_pipe.data.file_formats import SUFFIXES, form_of, rows_of
from alpaca_pipe.data.records import Record
from alpaca_pipe.data.texts_table import TEXT, TextsTable, files_of


class Texts(NamedTuple):
    """In an order that their contents decide, so that neighbours have nothing to do with each other."""

    train: list[str]
    held_out: list[str]


def read_texts(table: TextsTable, say: Callable[[str], None] = lambda sentence: None) -> Texts:
    """All of them; say: is told what was left out. Raises UserError where nothing can be read, or too little to hold out."""
    passed: Counter[str] = Counter()
    found: dict[bytes, str] = {}
    repeats = 0
    for source in table.source:
        for text in _of_source(source, table, passed):
            if not text.strip():
                passed["empty texts"] += 1
                continue
            mark = hashlib.sha256(text.encode()).digest()
            repeats += mark in found
            found[mark] = text
    for what, count in sorted(passed.items()):
        say(f"texts: {count} {what} are left out")
    if repeats:
        say(f"texts: {repeats} texts stand there twice and are read once")
    if not found:
        names = ", ".join(str(one) for one in table.source)
        raise UserError(
            f"texts: {names} holds no text", "name files of text, or rows with a column of it"
        )
    return _split([found[mark] for mark in sorted(found)], float(table.held_out))


def _split(texts: list[str], share: float) -> Texts:
    """The first texts until they make the share; of a single one its end."""
    if len(texts) == 1:
        cut = round(len(texts[0]) * (1 - share))
        parts = Texts([texts[0][:cut]], [texts[0][cut:]])
    else:
        wanted, held = share * sum(map(len, texts)), 0
        characters = 0
        while held < len(texts) - 1 and characters < wanted:
            characters += len(texts[held])
            held += 1
        parts = Texts(texts[held:], texts[:held])
    if not all(any(text.strip() for text in part) for part in parts):
        raise UserError(
            "texts: there is too little text to hold a part of it out", "name more text"
        )
    return parts


def _of_source(source: Path, table: TextsTable, passed: Counter[str]) -> Iterator[str]:
    for file in files_of(source):
        if SUFFIXES.search(file.name):
            yield from _of_rows(file, table.column)
        elif TEXT.search(file.name) or file == source:
            yield _whole(file)
        else:
            passed[f"files ending in {file.suffix or 'nothing'}"] += 1


def _whole(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file} is not UTF-8 text (byte {error.start})", "convert it, or leave it out"
        ) from None


def _of_rows(file: Path, column: str) -> Iterator[str]:
    for found in rows_of(file, form_of(file)):
        if not isinstance(found, Record):
            what = getattr(found, "what", "what stands beside the rows")
            raise UserError(f"{file}:{found.at}: {what}", getattr(found, "cure", "remove it"))
        value = found.value.get(column) if isinstance(found.value, dict) else None
        if not isinstance(value, str):
            there = ", ".join(found.value) if isinstance(found.value, dict) else "no columns"
            raise UserError(
                f"{file}:{found.at}: a row has no text in column '{column}' (it has: {there})",
                "name its column: texts.column",
            )
        yield whole(value)
