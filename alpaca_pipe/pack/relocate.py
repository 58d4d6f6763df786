"""A recipe that runs elsewhere: what it extends and what was overridden are in it, and each path leads to a file beside it.

The tables are written from their validated values, as far as they were set, so it does not matter how the user spread them
over files; that the copy has the same identities is checked before a cent is lent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from alpaca_pipe.core.config_table import AnyPath, Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.secrets import holds_a_key
from alpaca_pipe.core.written_yaml import yaml_text
from alpaca_pipe.curate.review.decisions import Decisions
from alpaca_pipe.data.texts_table import OWN, PROGRAM
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.weights.base import BaseTable

_PRIVATE = b"PRIVATE KEY-----"
_SMALL = 1 << 20  # bytes; a key is never larger


@dataclass
class Portable:
    """text: the recipe.  files: its files, by their names beside it."""

    text: str
    files: Mapping[str, Path]


def portable(recipe: Recipe) -> Portable:
    """Raises UserError for a path that is gone, and for what looks like a key."""
    walk = _Walk(f"{recipe.name}.files")
    values = {"recipe_version": 1, "name": recipe.name, "seed": recipe.seed, "use": recipe.use} | {
        name: walk.table(table, name)
        for name, table in {**recipe.tables, **recipe.stages}.items()
        if name != "on"  # who is told here, and by which commands, is this machine's
    }
    values = {name: value for name, value in values.items() if value != {} or name in recipe.stages}
    text = f"# {recipe.name}, as it was packed: everything that it extends or overrides is in it\n{yaml_text(values)}"
    if holds_a_key(text):
        raise UserError(
            f"the recipe {recipe.name} holds what looks like a key",
            "put it into an environment variable; a key that stood in a file should be revoked",
        )
    return Portable(text, walk.files)


@dataclass
class _Walk:
    """Collects the files on the way through the tables."""

    folder: str
    files: dict[str, Path] = field(default_factory=dict)

    def table(self, table: Table, at: str) -> dict[str, Any]:
        """The keys that were set, and those that hold a path by themselves."""
        plain = table.model_dump(mode="json", by_alias=True)
        answer = {}
        for name, info in type(table).model_fields.items():
            value, key = getattr(table, name), info.alias or name
            if AnyPath in (info.annotation, *get_args(info.annotation)):  # a file that is written
                if value is not None:
                    answer[key] = value.name
            elif isinstance(value, Decisions):  # a file that is written too, and read
                if value.lines and value.path:
                    answer[key] = self._place(value.path, f"{at}.{key}", False)
                elif value.path is None and name in table.model_fields_set:
                    answer[key] = False
            elif _holds_path(value):
                answer[key] = self._value(value, f"{at}.{key}", isinstance(table, BaseTable))
            elif name in table.model_fields_set:
                answer[key] = (
                    self._value(value, f"{at}.{key}", False)
                    if isinstance(value, Table)
                    else _number(value, plain[key])
                )
        return answer

    def _value(self, value: Any, at: str, base: bool) -> Any:
        if isinstance(value, Table):
            return self.table(value, at)
        if isinstance(value, tuple | list):
            return [self._value(item, f"{at}/{place}", base) for place, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self._value(item, f"{at}.{key}", base) for key, item in value.items()}
        return (
            self._place(Path(value), at, base) if _holds_path(value) else _number(value, str(value))
        )

    def _place(self, path: Path, at: str, base: bool) -> str:
        """Where a file or folder will lie, beside the recipe. Its own name stays: rows name the file they came from."""
        if not path.exists():
            raise UserError(
                f"{at.replace('/', '.')}: {path} is gone", "put it back, or fix the recipe"
            )
        if path == PROGRAM:
            return OWN  # the other machine has it
        inside = f"{self.folder}/{at}/{path.name}"
        found = (
            [path]
            if path.is_file()
            else [
                file
                for file in sorted(path.glob("*") if base else path.rglob("*"))
                if file.is_file()
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
            ]
        )  # as identities leave them out
        for file in found:
            if file.stat().st_size <= _SMALL and _holds_a_key(file.read_bytes(), words=not base):
                raise UserError(
                    f"{at}: {file} holds what looks like a key, and no key leaves this machine",
                    "remove it from the file",
                )
            self.files[
                inside if file == path else f"{inside}/{file.relative_to(path).as_posix()}"
            ] = file
        return inside


def _holds_a_key(data: bytes, words: bool) -> bool:
    """words: also one of a provider's, which the pieces of a tokenizer may look like."""
    return _PRIVATE in data or words and holds_a_key(data.decode(errors="replace"))


def _holds_path(value: Any) -> bool:
    if isinstance(value, Table):
        return any(_holds_path(getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, tuple | list):
        return any(map(_holds_path, value))
    if isinstance(value, dict):
        return any(map(_holds_path, value.values()))
    # a local teacher's weights are named by a text
    return (
        isinstance(value, Path)
        or isinstance(value, str)
        and value.endswith(".gguf")
        and Path(value).is_file()
    )


def _number(value: Any, plain: Any) -> Any:
    """A decimal as the number that the user wrote."""
    if isinstance(value, Decimal):
        number = int(value) if value == value.to_integral_value() else float(value)
        return number if Decimal(str(number)) == value else str(value)
    return plain


def same_recipe(one: Recipe, other: Recipe) -> str:
    """The first table whose identity differs, or that has other caps; "" where none does."""
    mine, theirs = {**one.tables, **one.stages}, {**other.tables, **other.stages}
    return next(
        (
            name
            for name in mine.keys() | theirs.keys()
            if not _stays(name, theirs)
            and (
                name not in mine
                or name not in theirs
                or mine[name].identity() != theirs[name].identity()
                or _figures(mine[name]) != _figures(theirs[name])
            )
        ),
        "seed" if one.seed != other.seed else "use" if one.use != other.use else "",
    )


def _stays(name: str, theirs: Mapping[str, Table]) -> bool:
    """Who is told of a run's end is this machine's, and does not travel."""
    return name == "on" and not (name in theirs and any(_figures(theirs[name]).values()))


def _figures(table: Table) -> dict[str, Any]:
    """What is no path, knobs too."""
    return {
        name: value
        for name in type(table).model_fields
        if not _holds_path(value := getattr(table, name))
        and not isinstance(value, Table | Decisions)
    }
