"""Keys of a recipe that go by a second name: the field's term beside our word, `similarity_threshold` beside `likeness`.

Each table says which of its keys have one (`also`). Both are read, and mean the same; what is written by the second name is
put under the first before anything else looks at it, so identities, records and reports know one name only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.recipe.located_yaml import Key, Place

Data = dict[str, Any]
Rename = Callable[[Data, dict[Key, Place]], None]


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models inside an annotation (unions, Annotated, optionals)."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in models_in(part)]


def tables_of(annotation: Any, data: Any) -> list[type[BaseModel]]:
    """The models that such data is read by: of a table of several kinds the one that it names."""
    return [
        model.chosen(data) if hasattr(model, "chosen") else model for model in models_in(annotation)
    ]


def in_one_name(data: Data, places: dict[Key, Place], recipe: type[BaseModel]) -> None:
    """Puts every value that stands under a second name under the first. Raises UserErrors where both stand in one table."""
    errors: list[UserError] = []
    _rename(data, (), places, recipe, errors)
    if errors:
        raise UserErrors(errors)


def first_names(parts: Sequence[str], data: Data, recipe: type[BaseModel]) -> list[str]:
    """`generate.similarity_threshold`, in its parts, by first names."""
    owner: Any = recipe
    inside: Any = data
    named: list[str] = []
    for part in parts:
        tables = tables_of(owner, inside)
        name = _first(part, owner, tables)
        named.append(name)
        owner = _field(tables, name)
        inside = inside.get(name) if isinstance(inside, dict) else None
    return named


def _rename(
    data: Data, key: Key, places: dict[Key, Place], owner: Any, errors: list[UserError]
) -> None:
    tables = tables_of(owner, data)
    for name in list(data):
        first = _first(name, owner, tables)
        if first != name and first in data:
            said = ".".join(map(str, (*key, name)))
            errors.append(
                UserError(
                    f"{places[(*key, name)]}: {said}: it is another name of '{first}', and both are given",
                    "remove one of them",
                )
            )
            continue
        if first != name:
            _move(data, key, name, first, places)
        if isinstance(data[first], dict):
            _rename(data[first], (*key, first), places, _field(tables, first), errors)


def _move(data: Data, key: Key, name: str, first: str, places: dict[Key, Place]) -> None:
    """Where it stood, in its order."""
    items = [(first if old == name else old, value) for old, value in data.items()]
    data.clear()
    data.update(items)
    old, new = (*key, name), (*key, first)
    for place in [place for place in places if place[: len(old)] == old]:
        found = places.pop(place)
        here = replace(found, written=name) if place == old else found
        places[(*new, *place[len(old) :])] = here


def _first(name: str, owner: Any, tables: Sequence[type[BaseModel]]) -> str:
    """The first name of a key; of one that only other kinds of the table have, theirs, so that the error names them."""
    if _field(tables, name) is not None:
        return name
    kinds = (
        kind for one in models_in(owner) if hasattr(one, "variants") for kind in one.variants()
    )
    for one in chain(tables, kinds):
        if hasattr(one, "other_names") and name in (names := one.other_names()):
            return str(names[name])
    return name


def _field(tables: Sequence[type[BaseModel]], name: str) -> Any:
    fields = {f.alias or n: f for one in tables for n, f in one.model_fields.items()}
    return fields[name].annotation if name in fields else None
