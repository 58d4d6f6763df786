"""Which form a file of rows has: told by its content, never by its name alone; and the reader for each form."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.compression import chunks, head, packing
from alpaca_pipe.data.json_rows import json_lines, json_list
from alpaca_pipe.data.records import Found
from alpaca_pipe.data.row_schemas import KEYS, shape_of
from alpaca_pipe.data.source_kinds import Form
from alpaca_pipe.data.tabular import csv_rows, parquet_rows, saved_rows

FORMS = get_args(Form)
_KNOWN = "a JSON list, JSONL, CSV, Parquet, or a folder of them or of `datasets`; packed with gzip or zstd or not"
_SUFFIXES = re.compile(r"\.(json|jsonl|ndjson|csv|tsv|parquet)(\.(gz|zst|bz2|xz))?$", re.IGNORECASE)
_NOT_ROWS = re.compile(r"(^|/)(dataset_infos?|state|dataset_dict|summary|config|done|stage)\.json$")
_BINARY = (
    (b"PK\x03\x04", "a zip archive (or an Office file)"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"ARROW1", "a bare Arrow file"),
    (b"GGUF", "a model"),
    (b"\x7fELF", "a program"),
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ZEROS = re.compile(rb"(?:\0{1,3}[\t\r\n -~]){2}|(?:[\t\r\n -~]\0{1,3}){2}")  # without its mark


def files_of(source: Path, form: Form | None = None) -> list[tuple[Path, str, Form]]:
    """(file, its name inside `source`, its form) of each file of rows that `source` is or holds, in order of the names.

    A folder holds one form, or `form` says which of its files are meant. Hidden files and those that hold no rows by their
    name's ending (README.md ...) are passed over.
    """
    if not source.is_dir():
        return [(source, source.name, form or form_of(source))]
    if form == "datasets" or (form is None and _is_saved(source)):
        return [(source, source.name, "datasets")]
    inside = sorted(
        (path.relative_to(source).as_posix(), path) for path in source.rglob("*") if path.is_file()
    )
    seen = [
        (name, path)
        for name, path in inside
        if _SUFFIXES.search(name)
        and not _NOT_ROWS.search(name)
        and not any(part.startswith((".", "_")) for part in name.split("/"))
    ]
    if not seen:
        raise UserError(
            f"{source}: the folder holds no rows", f"name a file or a folder of {_KNOWN}"
        )
    found = [(path, name, form_of(path)) for name, path in seen]
    if form:
        found = [one for one in found if one[2] == form]
    forms = sorted({one[2] for one in found})
    if len(forms) != 1:
        held = (
            f"files of {len(forms)} forms: {', '.join(forms)}"
            if forms
            else f"no file of the form {form}"
        )
        raise UserError(
            f"{source}: the folder holds {held}",
            "name one file, or say with format which of them are meant",
        )
    return found


def _is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` made it."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def rows_of(path: Path, form: Form) -> Iterator[Found]:
    """What the reader of this form finds in the file."""
    if form == "parquet":
        return parquet_rows(path, KEYS)
    if form == "datasets":
        return saved_rows(path, KEYS)
    _check_text(path, head(path))
    if form == "json":
        return json_list(chunks(path))
    if form == "jsonl":
        return json_lines(chunks(path))
    return csv_rows(
        chunks(path), _delimiter(_first_line(head(path)), form) or ("\t" if form == "tsv" else ",")
    )


def form_of(path: Path) -> Form:
    """The form of a file, by its first bytes. Raises UserError for what holds no rows."""
    first = head(path)
    if first.startswith(b"PAR1"):
        with path.open("rb") as stream:
            if name := packing(stream.read(8))[0]:
                raise UserError(
                    f"{path}: Parquet inside {name}",
                    "unpack it first: Parquet packs its own columns",
                )
        return "parquet"
    _check_text(path, first)
    text = first.decode("utf-8-sig", "replace").lstrip()
    line = _first_line(first)
    if not text:
        raise UserError(
            f"{path}: the file is empty" if not first else f"{path}: the file has no rows",
            "name a file with at least one instruction and its output",
        )
    if text[0] == "[":
        return "json"
    if text[0] == "{":
        whole = len(text) > len(line)  # the first line ends within what was looked at
        if whole and line.endswith(("{", "[", ",")) and not line.startswith("{'"):
            raise UserError(
                f"{path}: one JSON object over several lines, not a list and not one object a line",
                "write it anew: jq -c . FILE > FILE.jsonl, or jq .KEY FILE where a key holds the list",
            )
        return "jsonl"
    for form, delimiter in (("csv", ","), ("csv", ";"), ("tsv", "\t")):
        if _fits(line, delimiter):
            return "tsv" if form == "tsv" else "csv"
    if re.search(r"\.(csv|tsv)\b", path.name, re.IGNORECASE):
        raise UserError(
            f"{path}:1: the header names no columns of instruction data: {line[:80]}",
            "the first line names the columns, for example instruction,input,output",
        )
    if text[0] == '"' or _SUFFIXES.search(path.name) or _is_json(line):
        return "jsonl"  # whose reader says of each line why it is no row
    raise UserError(f"{path}: neither JSON nor CSV: it begins with {line[:40]!r}", f"name {_KNOWN}")


def _check_text(path: Path, first: bytes) -> None:
    """Raises UserError for bytes that are no UTF-8 text at all; single bad bytes are told with their line."""
    if first.startswith(_UTF16) or _ZEROS.match(first):
        raise UserError(
            f"{path}: UTF-16 or UTF-32, not UTF-8",
            f"convert it: iconv -f utf-16 -t utf-8 {path.name} > fixed-{path.name}",
        )
    kind = next((kind for mark, kind in _BINARY if first.startswith(mark)), "")
    control = sum(byte < 9 or 13 < byte < 32 for byte in first)
    if not kind and (first.count(0) > len(first) // 4 or control > len(first) // 10):
        kind = "a file of NUL bytes: it is damaged" if not first.strip(b"\0") else "a binary file"
    if kind:
        raise UserError(f"{path}: {kind}, not rows of text", f"name {_KNOWN}")


def _first_line(first: bytes) -> str:
    lines = first.decode("utf-8-sig", "replace").lstrip().split("\n")
    return lines[0].strip()


def _delimiter(line: str, form: Form) -> str:
    """What stands between the names of a header that has the keys of a shape."""
    return next((mark for mark in ("\t" if form == "tsv" else ",;|\t") if _fits(line, mark)), "")


def _fits(line: str, delimiter: str) -> bool:
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return False
    return shape_of({name.strip(): "" for name in names}) is not None


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
        return True
    except (ValueError, RecursionError):
        return False
