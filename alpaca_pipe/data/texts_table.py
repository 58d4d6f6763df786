"""The recipe's `texts:` table: plain text to pre-train on, and to learn a growth's map on."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from alpaca_pipe.core.config_table import Exact, ExistingPath, Table
from alpaca_pipe.core.files import digest_of, file_digest, tree_digest
from alpaca_pipe.core.lazy_regex import lazy_regex

OWN = "own"  # the program's own source text: what a machine without any other text has
TEXT = lazy_regex(r"\.(txt|md|markdown|rst|py|tex)$", re.IGNORECASE)  # a file is one text
PROGRAM = Path(__file__).resolve().parents[1]


def _as_list(value: Any) -> Any:
    many = value if isinstance(value, list | tuple) else [value]
    return tuple(PROGRAM if one == OWN else one for one in many)


class TextsTable(Table):
    """Plain texts, known by their content."""

    also: ClassVar[dict[str, str]] = {"test_size": "held_out"}

    source: Annotated[
        tuple[ExistingPath, ...],
        BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
    ] = Field(
        alias="from",
        min_length=1,
        description="files or folders: a text or Markdown file is one text, a row of JSON, JSONL, CSV or Parquet is one in its "
        "column; `own`: this program's own source",
    )
    column: str = Field("text", description="of files of rows, where the text stands")
    held_out: Exact = Field(
        Decimal("0.1"),
        gt=0,
        lt=1,
        description="share of all characters that is never trained on: whole texts, or the end of the only one",
    )

    def identity(self) -> dict[str, Any]:
        """Of the program's own source its Python files alone, for what Python compiles of them is of one machine."""
        own = {file.relative_to(PROGRAM).as_posix(): file_digest(file) for file in own_files()}
        content = [digest_of(own) if one == PROGRAM else _content(one) for one in self.source]
        return {"from": content, "column": self.column, "held_out": str(self.held_out)}

    def characters(self) -> int:
        """About how many there are to train on: by the size of the files."""
        from alpaca_pipe.data.file_formats import SUFFIXES

        files = [
            file
            for one in self.source
            for file in files_of(one)
            if file == one or TEXT.search(file.name) or SUFFIXES.search(file.name)
        ]
        return int(sum(file.stat().st_size for file in files) * (1 - self.held_out))


def _content(source: Path) -> str:
    """Of a single file also whether it is read as rows, which its ending says: with a folder go the names."""
    from alpaca_pipe.data.file_formats import SUFFIXES

    rows = source.is_file() and SUFFIXES.search(source.name)
    return digest_of([tree_digest(source), "rows"]) if rows else tree_digest(source)


def own_files() -> list[Path]:
    return sorted(PROGRAM.rglob("*.py"))


def files_of(source: Path) -> list[Path]:
    """Those that may be read of a source of `texts:`; hidden ones, and what Python leaves behind, are passed over."""
    if source == PROGRAM:
        return own_files()
    if not source.is_dir():
        return [source]
    files = sorted(path for path in source.rglob("*") if path.is_file())
    return [one for one in files if not _hidden(one.relative_to(source))]


def _hidden(inside: Path) -> bool:
    return any(part.startswith((".", "__")) for part in inside.parts[:-1]) or inside.name[0] == "."
