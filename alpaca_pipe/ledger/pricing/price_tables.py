"""Figures that ship with the package: a YAML file with a head, its sources, and at its end one table aligned by blanks.

Some hundred rows as YAML mappings take a parser a fifth of a second, and their heads a twentieth; `plan` has half of one
in all. A test holds what is read here against what YAML says.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass

_FOLDER = Path(__file__).parents[1] / "prices"
_TABLE = "\nrows: |\n"


@dataclass(frozen=True)
class PriceSheet:
    """One file: what its head says, and its rows. A `-` in the table is a cell that is not there; the last column takes
    the rest of its line."""

    head: dict[str, Any]
    rows: tuple[dict[str, str], ...]


@cache
def sheet(name: str) -> PriceSheet:
    """The file prices/<name>.yaml. A row's `source` is a name in the head's `sources`, written out here."""
    said, _, table = _text(name).partition(_TABLE)
    head = _head(said)
    lines = [line for line in table.splitlines() if line.strip()]
    names = lines[0].split()
    rows = []
    for line in lines[1:]:
        cells = zip(names, line.split(maxsplit=len(names) - 1), strict=True)
        row = {key: cell.rstrip() for key, cell in cells if cell != "-"}
        rows.append(row | {"source": head["sources"][row["source"]]})
    return PriceSheet(head, tuple(rows))


def _head(text: str) -> dict[str, Any]:
    """The YAML that heads use and no more: texts, lists in brackets, and tables of those; a parser takes thirty times as long."""
    head: dict[str, Any] = {}
    inside = head
    for line in text.splitlines():
        name, _, value = line.partition(": ") if ": " in line else line.partition(":")
        if not line.strip() or line.startswith("#"):
            continue
        table = inside if line.startswith(" ") else head
        if not value:
            inside = head[name] = {}
        else:
            table[name.strip()] = (
                [cell.strip() for cell in value[1:-1].split(",")]
                if value.startswith("[")
                else value.strip()
            )
    return head


def sheets(kind: str) -> Iterator[PriceSheet]:
    """Every shipped file whose first line says that it is of this kind, by name."""
    for name in names():
        if _text(name).startswith(f"kind: {kind}\n"):
            yield sheet(name)


def names() -> list[str]:
    """Of the files that ship."""
    return sorted(
        file.name.removesuffix(".yaml") for file in _FOLDER.iterdir() if file.name.endswith(".yaml")
    )


@cache
def _text(name: str) -> str:
    return _FOLDER.joinpath(f"{name}.yaml").read_text(encoding="utf-8")
