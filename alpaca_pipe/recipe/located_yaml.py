"""YAML with places: plain Python values, and for each key the file and line it stands on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.guarded_yaml import NotYaml, load_yaml
from alpaca_pipe.core.secrets import is_secret

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Place:
    """Where a key stands: `recipes/x.yaml:6`, or the override that set it. written: its name there, where that is a second
    one (other_names.py)."""

    file: str
    line: int
    by: str = ""
    written: str = ""

    def __str__(self) -> str:
        return self.by or f"{self.file}:{self.line}"


_PLAINLY = {  # in words, the parser's complaints that are met every day: (what it says, what to do)
    "expected <block end>": (
        "this line is indented differently from the lines above it",
        "start all keys of a table in the same column",
    ),
    "mapping values are not allowed here": (
        "there is a second colon, or this line is indented more than the one above it",
        "put text with a colon in quotes; start all keys of a table in the same column",
    ),
    "character '\\t'": ("there is a tab", "indent with blanks"),
    "could not find expected ':'": ("a key has no colon", "write `key: value`"),
}


def read_yaml(text: str, file: str) -> tuple[Any, dict[Key, Place]]:
    """(values, places). YAML 1.2: `1e-5` is a number, `no` is a string, a repeated key is an error."""
    try:
        loaded = load_yaml(text, with_lines=True)
    except NotYaml as error:
        what, cure = next(
            (plain for words, plain in _PLAINLY.items() if words in error.what),
            (error.what, error.cure),
        )
        raise UserError(f"{file}:{error.line}: {what}", cure) from None
    if not isinstance(loaded, dict):
        raise UserError(
            f"{file}:1: a recipe is a mapping of tables", "see `alpaca-pipe recipes` for examples"
        )
    places: dict[Key, Place] = {(): Place(file, 1)}
    return _plain(loaded, (), file, places), places


def override(
    data: Any,
    places: dict[Key, Place],
    item: str,
    named: Callable[[list[str]], list[str]] = lambda parts: parts,
) -> None:
    """Applies `table.key=value`; the value is read as YAML. named: the parts of a key by their first names."""
    name, equals, value = item.partition("=")
    if not equals or not name.strip():
        raise UserError(
            f"'{item}' is not an override", "write it as key=value, for example generate.count=100"
        )
    written = name.strip().split(".")
    by = f"override '{f'{name}=...' if is_secret(written[-1], value) else item}'"
    parts = named(written)
    inside = data
    for part in parts[:-1]:
        if not isinstance(inside.get(part), dict):
            inside[part] = {}
        inside = inside[part]
    inside[parts[-1]] = read_value(value, by)
    for key in [key for key in places if key[: len(parts)] == tuple(parts)]:
        del places[key]  # what stood there is no longer what is read
    for length in range(1, len(parts) + 1):
        places.setdefault(tuple(parts[:length]), Place("", 0, by))
    places[tuple(parts)] = Place("", 0, by, written[-1] if written[-1] != parts[-1] else "")


def read_value(text: str, by: str) -> Any:
    """One YAML value, plain."""
    try:
        return _plain(load_yaml(text, with_lines=True), (), "", {})
    except NotYaml:
        raise UserError(f"{by}: the value is not YAML", "quote it") from None


def _plain(value: Any, key: Key, file: str, places: dict[Key, Place]) -> Any:
    """Plain Python for what ruamel read; the lines of its keys and items are noted in `places` on the way."""
    lines: Any = getattr(value, "lc", None)
    if isinstance(value, dict):
        for name in value:
            try:
                line = lines.key(name)[0]
            except (KeyError, AttributeError):  # it came by a merge key
                line = lines.line if lines is not None and lines.line is not None else 0
            places[(*key, name)] = Place(file, line + 1)
        return {str(name): _plain(item, (*key, name), file, places) for name, item in value.items()}
    if isinstance(value, list):
        for index in range(len(value)):
            places[(*key, index)] = Place(file, lines.item(index)[0] + 1)
        return [_plain(item, (*key, index), file, places) for index, item in enumerate(value)]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
