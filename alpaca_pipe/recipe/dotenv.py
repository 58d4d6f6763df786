"""Keys from a file `.env`: in the working directory, or beside the recipe. What the environment says goes first.

Only the variables that the recipe names as keys are taken, into this process alone: nothing is written anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.recipe.schema import Recipe

FILE = ".env"
_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*")


def lend_keys(recipe: Recipe, environment: MutableMapping[str, str] = os.environ) -> tuple[str, ...]:
    """Adds the keys that the recipe's teachers want and the environment does not have; answers their names."""
    wanted = [name for name in dict.fromkeys(_key_names({**recipe.tables, **recipe.stages})) if name not in environment]
    if not wanted:
        return ()
    folders = dict.fromkeys((Path.cwd(), *(file.resolve().parent for file in recipe.files[:1])))
    lent: dict[str, str] = {}
    for folder in folders:
        if (folder / FILE).is_file():
            lent = {**read_env(folder / FILE), **lent}
    found = {name: lent[name] for name in wanted if lent.get(name)}
    environment.update(found)
    return tuple(found)


def read_env(file: Path) -> dict[str, str]:
    """NAME=value lines, `export` and quotes allowed, `#` begins a comment. No other file's syntax: no `$OTHER`, no line that
    goes on. Raises UserError; no message holds a value."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{file}: it cannot be read", "it should be UTF-8 text that you may read; or take it away") from None
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise UserError(f"{file}:{number}: this is not NAME=value", "write one variable a line, or begin the line with #")
        values[found["name"]] = _unquoted(found["value"])
    return values


def _unquoted(value: str) -> str:
    for quote in "'\"":
        if value.startswith(quote) and (end := value.find(quote, 1)) > 0:
            return value[1:end]
    return re.split(r"\s#", value)[0].rstrip()


def _key_names(value: Any) -> Iterator[str]:
    """Of all teachers, wherever they stand in the recipe."""
    if name := getattr(value, "key_variable", None):
        yield name
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _key_names(getattr(value, field))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _key_names(item)
