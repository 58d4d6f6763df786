"""The user's own prices on their way: those that a recipe can name, and into another user's file without touching his rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.ledger.pricing.pin_price import append_to
from alpaca_pipe.ledger.pricing.user_prices import OwnRow, own_file, own_text, rows_in

_WHAT = {
    "price": ("model", "host", "provider", "mode"),
    "gpu": ("gpu", "provider"),
    "tuning": ("tuning", "provider"),
}


def pins_for(recipe: str) -> str:
    """The rows of the user's file that a recipe's text can mean, as such a file; "" where there is none."""
    if not own_text():
        return ""
    rows = [
        row.values
        for kind, row in rows_in(own_text(), str(own_file()))
        if kind == "gpu" or kind == "price" and str(row.values["model"]) in recipe
    ]
    return _as_file(rows)


def take_pins(file: Path) -> list[str]:
    """Adds to the user's own file what it does not price yet. Answers a sentence for each row that was taken, or was not."""
    rows = rows_in(file.read_text(encoding="utf-8"), file.name)
    standing = rows_in(own_text(), str(own_file())) if own_text() else []
    known = {_what(kind, row): row.values for kind, row in standing}
    new, said = [], []
    for kind, row in rows:
        mine = known.get(_what(kind, row))
        if mine is None:
            new.append(row.values)
            said.append(f"price taken over into {own_file()}: {_named(kind, row)}")
        elif _plain(mine) != _plain(row.values):
            said.append(f"your own price of {_named(kind, row)} stays, the packed one is another")
    if new:
        text = own_text()
        append_to(
            own_file(), f"{'' if text.endswith(chr(10)) or not text else chr(10)}{_as_file(new)}"
        )
    return said


def _what(kind: str, row: OwnRow) -> tuple[str, ...]:
    return (kind, *(str(row.values.get(name, "")) for name in _WHAT[kind]))


def _named(kind: str, row: OwnRow) -> str:
    return " ".join(part for part in _what(kind, row)[1:] if part)


def _plain(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _as_file(rows: list[dict[str, Any]]) -> str:
    import io

    from ruamel.yaml import YAML

    if not rows:
        return ""
    out, yaml = io.StringIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # a row a line
    yaml.width = 4096
    yaml.dump(rows, out)
    return out.getvalue()
