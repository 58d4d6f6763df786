"""`alpaca-pipe migrate`: a recipe with keys of an older alpaca-pipe, or of other tools, in today's words; comments stay.

The lines of the file are edited where they stand, so what is not renamed stays as it is written, byte for byte. What is known
of old names stands with each table, as `renamed`: a name, or `table.name` where the key moved into a table within.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_atomic
from alpaca_pipe.recipe.extends import VERSION
from alpaca_pipe.recipe.located_yaml import Key, read_yaml
from alpaca_pipe.recipe.other_names import tables_of
from alpaca_pipe.recipe.schema import recipe_model
from alpaca_pipe.recipe.stage import Catalog

_HEAD = "recipe_version"


@dataclass(frozen=True)
class Migrated:
    """text: the whole file anew. changes: a sentence for each."""

    text: str
    changes: tuple[str, ...]
    diff: str


def migrate(path: Path, catalog: Catalog, write: bool = True) -> Migrated:
    """Rewrites a recipe whole or not at all; where nothing is old, not a byte changes. Raises UserError where an old and a new
    name stand side by side, a key cannot be moved, or the lines edited would not say the same."""
    before = _text(path)
    text, changes = before, list[str]()
    while change := _one(
        text, str(path), catalog
    ):  # one at a time: each may move the lines of the next
        text, said = change
        changes.append(said)
    data, places = read_yaml(text, str(path))
    model = recipe_model(catalog)
    known = {field.alias or name for name, field in model.model_fields.items()} | {_HEAD, "extends"}
    if strange := next((key for key in data if key not in known), None):
        raise UserError(
            f"{places[(strange,)]}: {strange}: no recipe has such a table, so nothing was changed",
            did_you_mean(str(strange), known),
        )
    if data.get(_HEAD) is None:
        text = _sure(
            _with_version(text, str(path)),
            {_HEAD: VERSION, **{key: item for key, item in data.items() if key != _HEAD}},
            str(path),
        )
        changes.append(f"{_HEAD}: {VERSION} is written down")
    diff = "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            text.splitlines(keepends=True),
            str(path),
            f"{path} (migrated)",
        )
    )
    if write and text != before:
        write_atomic(path, text)
    return Migrated(text, tuple(changes), diff)


def _one(text: str, file: str, catalog: Catalog) -> tuple[str, str] | None:
    """The text with its first old key renamed, and what was done."""
    data, places = read_yaml(text, file)
    for key, new in _old(data, (), recipe_model(catalog)):
        place = places[key]
        parent: dict[str, Any] = data
        for part in key[:-1]:
            parent = parent[part]
        table, _, name = new.rpartition(".")
        holder = parent.get(table) if table else parent
        if isinstance(holder, dict) and name in holder:
            raise UserError(
                f"{place}: {'.'.join(map(str, key))}: it is called '{new}' now, and that is there too",
                "remove one of them",
            )
        lines = text.splitlines(keepends=True)
        at = place.line - 1
        if table:
            _move(lines, at, str(key[-1]), name, table, places.get((*key[:-1], table)), file)
        else:
            lines[at] = _renamed(lines[at], str(key[-1]), name, file, at)
        value = parent.pop(key[-1])
        parent.update({table: {**(holder or {}), name: value}} if table else {name: value})
        return _sure(
            "".join(lines), data, file
        ), f"line {place.line}: {'.'.join(map(str, key))} is called {new} now"
    return None


def _old(value: Any, key: Key, owner: Any) -> Iterator[tuple[Key, str]]:
    """(key, its name today) of all that has an old name in a table of the recipe."""
    if not isinstance(value, dict):
        return
    models = tables_of(owner, value)
    renamed = {old: new for model in models for old, new in getattr(model, "renamed", {}).items()}
    fields = {
        field.alias or name: field for model in models for name, field in model.model_fields.items()
    }
    for name, item in value.items():
        if name not in fields and name in renamed and not renamed[name].endswith(":"):
            yield (*key, name), renamed[name]
        elif name in fields:
            yield from _old(item, (*key, name), fields[name].annotation)


def _renamed(line: str, old: str, new: str, file: str, at: int) -> str:
    """The line with the key at its beginning, or within `{...}`, under another name."""
    for quoted in (old, f'"{old}"', f"'{old}'"):
        for before in ("", "{", "{ ", ", "):
            if (place := line.find(f"{before}{quoted}:")) >= 0 and (
                before or not line[:place].strip()
            ):
                start = place + len(before)
                return f"{line[:start]}{new}{line[start + len(quoted) :]}"
    raise UserError(
        f"{file}:{at + 1}: '{old}' cannot be renamed here", f"write {new} there yourself"
    )


def _move(lines: list[str], at: int, old: str, new: str, table: str, there: Any, file: str) -> None:
    """Moves a key with its value into a table of its parent, which is begun where it is not there."""
    line = lines[at]
    indent = line[: len(line) - len(line.lstrip())]
    if not line.lstrip().startswith((f"{old}:", f'"{old}":')):
        raise UserError(
            f"{file}:{at + 1}: '{old}' cannot be moved out of a table in one line",
            f"write {table}: {{{new}: ...}} yourself",
        )
    end = at + 1
    while (
        end < len(lines)
        and lines[end].strip()
        and len(lines[end]) - len(lines[end].lstrip()) > len(indent)
    ):
        end += 1
    moved = [f"  {one}" for one in lines[at:end]]
    moved[0] = _renamed(moved[0], old, new, file, at)
    if there is None:
        lines[at:end] = [f"{indent}{table}:\n", *moved]
        return
    head = there.line - 1
    if lines[head].split("#")[0].rstrip().endswith(":"):
        del lines[at:end]
        head -= (end - at) if head > at else 0
        lines[head + 1 : head + 1] = moved
    else:
        raise UserError(
            f"{file}:{at + 1}: '{old}' cannot be moved into '{table}', which stands in one line",
            f"write {new} into it yourself",
        )


def _with_version(text: str, file: str) -> str:
    """`recipe_version` before the first key, so that the head comment stays the head."""
    _, places = read_yaml(text, file)
    first = min((place.line for key, place in places.items() if len(key) == 1), default=1) - 1
    lines = text.splitlines(keepends=True)
    while (
        first and lines[first - 1].strip() and not lines[first - 1].startswith("---")
    ):  # a comment that belongs to the first key
        first -= 1
    if first == 0 and lines[0].startswith(
        "#"
    ):  # head comment and first key without a blank line between
        first = next(
            number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")
        )
    lines.insert(first, f"{_HEAD}: {VERSION}\n\n")
    return "".join(lines)


def _sure(text: str, meant: Mapping[str, Any], file: str) -> str:
    """The text, which is read once more. Raises UserError where it does not say what is meant: lines are edited, and YAML is more."""
    try:
        same = read_yaml(text, file)[0] == meant
    except UserError:
        same = False
    if same:
        return text
    raise UserError(
        f"{file}: it is written in a way that cannot be edited line by line; nothing was changed",
        f"begin each table on a line of its own, with no {{...}} around all; {_HEAD}: {VERSION} goes first",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read: {error}", "name a recipe of yours, a UTF-8 text file"
        ) from None
