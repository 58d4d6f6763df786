"""Keys from a file `.env`: in the working directory, or beside the recipe. What the environment says goes first.

Only the variables that the recipe names as keys are taken, into this process alone: nothing is written anywhere.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.recipe.schema import Recipe

FILE = ".env"


def lend_keys(
    recipe: Recipe, environment: MutableMapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Adds the keys that the recipe's teachers want and the environment does not have; answers their names."""
    wanted = [
        name
        for name in dict.fromkeys(key_names({**recipe.tables, **recipe.stages}))
        if name not in environment
    ]
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
    """The NAME=value lines, as python-dotenv reads them; no `$OTHER` is put in. Raises UserError; no message holds a value."""
    from dotenv.parser import parse_stream

    try:
        found = list(parse_stream(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError):
        raise UserError(
            f"{file}: it cannot be read",
            "it should be UTF-8 text that you may read; or take it away",
        ) from None
    for one in found:
        if one.error or one.key and one.value is None:
            raise UserError(
                f"{file}:{one.original.line}: this is not NAME=value",
                "write one variable a line, or begin the line with #",
            )
    return {one.key: one.value for one in found if one.key and one.value is not None}


def key_names(value: Any) -> Iterator[str]:
    """The variables with the keys of all teachers, wherever they stand in it: a recipe's tables, or a part of them."""
    if name := getattr(value, "key_variable", None):
        yield name
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from key_names(getattr(value, field))
    elif isinstance(value, dict):
        for item in value.values():
            yield from key_names(item)
