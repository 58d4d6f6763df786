"""The user's own price file, ~/.config/alpaca-pipe/prices.yaml: a list of dated rows that win over the shipped book.

    - {model: my-model, host: llm.example.com, in: 0.15, out: 0.60, from: 2026-11-21}
    - {gpu: H100, provider: my-lab, per_hour: 1.99, from: 2026-11-21}
    - {tuning: gpt-4.1-mini, provider: openai, per_million: 5, from: 2026-11-21}

`alpaca-pipe ledger pin-price` appends to it. What a row names first says what it is; its fields are checked by the room
that reads it (token_prices.py, gpu_rates.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ValidationError

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import config_dir
from alpaca_pipe.core.guarded_yaml import NotYaml, load_yaml

Kind = Literal["price", "gpu", "tuning"]
_NAMED_BY: dict[str, Kind] = {"model": "price", "gpu": "gpu", "tuning": "tuning"}
_CURE = "fix it, or remove the row; `alpaca-pipe ledger pin-price --help` says what a row may hold"

T = TypeVar("T", bound=Table)
_PACKED: ContextVar[Path | None] = ContextVar("packed prices", default=None)


def _day(value: Any) -> Any:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"'{value}' is not a day, which is written 2026-11-21") from None


Day = Annotated[date, BeforeValidator(_day)]


@dataclass(frozen=True)
class OwnRow:
    """One row as it stands in the file, and where."""

    values: dict[str, Any]
    place: str


def own_file() -> Path:
    """$ALPACA_PIPE_PRICES, or prices.yaml among the user's settings."""
    named = os.environ.get("ALPACA_PIPE_PRICES")
    return Path(named).expanduser() if named else config_dir() / "prices.yaml"


def own_text() -> str:
    """The whole file; empty where there is none."""
    path = own_file()
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the price file {path} cannot be read: {getattr(error, 'strerror', None) or error}",
            "fix it, or point ALPACA_PIPE_PRICES at another one",
        ) from None


def own_rows(kind: Kind) -> Iterator[OwnRow]:
    """The rows of one kind, in the order of the file."""
    if text := own_text():
        yield from (row for named, row in rows_in(text, str(own_file())) if named == kind)


def use_packed(file: Path | None) -> None:
    """From now on the rows of a file that came in a pack price what nobody else does, for the recipe that it came with alone;
    None: no longer. The user's own file is never written for it."""
    _PACKED.set(file)


def packed_rows(kind: Kind) -> Iterator[OwnRow]:
    """The rows of one kind that came with the recipe that is open. UserError where the file was changed into none."""
    file = _PACKED.get()
    if file is None or not file.is_file():
        return
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the price file {file} cannot be read: {error}", _CURE) from None
    yield from (row for named, row in rows_in(text, str(file)) if named == kind)


def rows_in(text: str, file: str) -> list[tuple[Kind, OwnRow]]:
    """Every row of a file's text with its kind. UserError with the line where it is not a list of rows."""
    try:
        loaded: Any = load_yaml(text, with_lines=True)
    except NotYaml as error:
        raise UserError(f"{file}:{error.line}: {error.what}", error.cure) from None
    if loaded is None:
        return []
    if not isinstance(loaded, list):
        raise UserError(f"{file}:1: a price file is a list of rows, each behind a dash", _CURE)
    lines: Any = getattr(loaded, "lc", None)
    rows = []
    for index, item in enumerate(loaded):
        place = f"{file}:{lines.item(index)[0] + 1}"
        kinds = [
            kind for name, kind in _NAMED_BY.items() if isinstance(item, dict) and name in item
        ]
        if len(kinds) != 1:
            raise UserError(f"{place}: a row names one of {', '.join(_NAMED_BY)}", _CURE)
        rows.append(
            (kinds[0], OwnRow({str(name): _plain(value) for name, value in item.items()}, place))
        )
    return rows


def read_row(table: type[T], row: OwnRow) -> T:
    """A row as its table. UserError with the place of the row where a field is wrong."""
    try:
        return table.model_validate(row.values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise UserError(
            f"{row.place}: {f'{field}: ' if field else ''}{what[:1].lower()}{what[1:]}", _CURE
        ) from None


def _plain(value: Any) -> Any:
    """ruamel's own number and text types as Python's."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
