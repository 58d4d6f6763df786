"""Which form a file of rows has: told by its content, never by its name alone; and the reader for each form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import get_args

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.archives import AnyFile
from alpaca_pipe.data.columnar import arrow_rows, parquet_rows, saved_rows
from alpaca_pipe.data.compression import BreaksOff, chunks, head, packing
from alpaca_pipe.data.delimiters import delimiter_of
from alpaca_pipe.data.json_object import holds_splits, is_row, object_rows
from alpaca_pipe.data.json_rows import json_lines, json_list
from alpaca_pipe.data.records import Found
from alpaca_pipe.data.source_kinds import Form
from alpaca_pipe.data.tabular import csv_rows
from alpaca_pipe.data.workbook import workbook_rows
from alpaca_pipe.data.yaml_rows import yaml_rows

FORMS = get_args(Form)
KNOWN = (
    "JSON, JSONL, CSV, Parquet, Arrow, xlsx, YAML, or a folder or an archive (zip, tar) of them; packed with "
    "gzip or zstd or not"
)
SUFFIXES = re.compile(
    r"\.(json|jsonl|ndjson|csv|tsv|parquet|arrow|feather|xlsx)(\.(gz|zst|bz2|xz))?$|(^|/)qna\.ya?ml$",
    re.IGNORECASE,
)
_BINARY = (
    (b"PK\x03\x04", "a zip archive (or an Office file)"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GGUF", "a model"),
    (b"\x7fELF", "a program"),
)
_ARROW = (b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ZEROS = re.compile(rb"(?:\0{1,3}[\t\r\n -~]){2}|(?:[\t\r\n -~]\0{1,3}){2}")  # without its mark


def rows_of(path: AnyFile, form: Form, split: str | None = None) -> Iterator[Found]:
    """What the reader of this form finds in the file. split: which of several lists or sheets is meant."""
    if form == "parquet":
        return parquet_rows(path)
    if form == "arrow":
        return arrow_rows(path)
    if form == "datasets":
        assert isinstance(path, Path)
        return saved_rows(path, split)
    if form == "xlsx":
        return workbook_rows(path, split)
    first = head(path)
    _check_text(path, first)
    if form == "yaml":
        return yaml_rows(chunks(path))
    begins = first.decode("utf-8-sig", "replace").lstrip()[:1]
    if begins == "{" and (form == "json" or (form == "jsonl" and _is_one_value(path, first))):
        return object_rows(partial(chunks, path), split)
    if form == "json":
        return json_list(chunks(path))
    if form == "jsonl":
        return json_lines(chunks(path))
    return csv_rows(chunks(path), delimiter_of(first) or ("\t" if form == "tsv" else ","))


def has_splits(path: AnyFile, form: Form) -> bool:
    """Whether one file holds several lists or sheets, each a split."""
    if form in ("datasets", "xlsx"):
        return True
    first = head(path)
    begins = first.decode("utf-8-sig", "replace").lstrip()[:1]
    one = begins == "{" and (form == "json" or (form == "jsonl" and _is_one_value(path, first)))
    return one and holds_splits(chunks(path))


def form_of(path: AnyFile) -> Form:
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
    if first.startswith(_ARROW):
        return "arrow"
    if first.startswith(b"PK\x03\x04") and b"[Content_Types].xml" in first:
        return "xlsx"
    _check_text(path, first)
    return _text_form(path, first)


def _text_form(path: AnyFile, first: bytes) -> Form:
    text = first.decode("utf-8-sig", "replace").lstrip()
    line = _first_line(first)
    if not text:
        raise UserError(
            f"{path}: the file is empty" if not first else f"{path}: the file has no rows",
            "name a file with at least one instruction and its output",
        )
    if re.search(r"\.ya?ml$", path.name, re.IGNORECASE):
        return "yaml"
    if text[0] == "[":
        lines = text.split("\n", 2)
        lists = len(lines) > 1 and lines[1].startswith("[") and _is_talk(lines[0])
        return "jsonl" if lists else "json"
    if text[0] == "{":
        one = _is_one_value(path, first)
        lined = re.search(r"\.(jsonl|ndjson)\b", path.name, re.IGNORECASE)
        return "json" if one and not lined else "jsonl"
    if text[0] == '"' and _is_json(line):
        return "jsonl"  # texts that hold JSON, whose reader says so
    if delimiter := delimiter_of(first):
        return "tsv" if delimiter == "\t" else "csv"
    if re.search(r"\.(csv|tsv)\b", path.name, re.IGNORECASE):
        raise UserError(
            f"{path}:1: the header names no columns of instruction data: {line[:80]}",
            "the first line names the columns, for example instruction,input,output",
        )
    if text[0] == '"' or SUFFIXES.search(path.name) or _is_json(line):
        return "jsonl"  # whose reader says of each line why it is no row
    raise UserError(f"{path}: neither JSON nor CSV: it begins with {line[:40]!r}", f"name {KNOWN}")


def _is_one_value(path: AnyFile, first: bytes) -> bool:
    """Whether a file that begins with `{` holds one object, over several lines or on the only one; or objects over several
    lines each. A broken first line of many is none."""
    text = first.decode("utf-8-sig", "replace").strip()
    line, _, rest = text.partition("\n")
    if rest:
        opened = line.rstrip().endswith(("{", "[", ",")) and not line.startswith("{'")
        return opened and not _is_json(line)
    lines = 0
    with suppress(BreaksOff):  # what comes before is judged; its reader says where it ends
        for data in chunks(path):
            lines += data.count(b"\n")
            if lines > 1 or (lines == 1 and data.rpartition(b"\n")[2].strip()):
                return False
    return _is_json(text) if len(first) < 1 << 16 else True


def _check_text(path: AnyFile, first: bytes) -> None:
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
        raise UserError(f"{path}: {kind}, not rows of text", f"name {KNOWN}")


def _first_line(first: bytes) -> str:
    lines = first.decode("utf-8-sig", "replace").lstrip().split("\n")
    return lines[0].strip()


def _is_talk(line: str) -> bool:
    """Whether a line is a whole conversation: a list of turns, of texts or of pairs."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list) and (is_row(value) or all(isinstance(one, str) for one in value))


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
        return True
    except (ValueError, RecursionError):
        return False
