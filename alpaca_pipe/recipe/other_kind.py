"""An override that names another kind, `teacher.kind=local_server`: what the recipe's file says for its own kind alone is left
out, with a word. In a file the same keys are a mistake, and refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.recipe.located_yaml import Key, Place

Kinds = Mapping[str, type[Table]]


def kinds_in(data: Mapping[str, Any], tables: Mapping[str, type[Table]]) -> dict[str, type[Table]]:
    """Of each table that has kinds, the one that is named in it."""
    return {name: kind.chosen(data[name]) for name, kind in tables.items() if name in data}


def leave_out(data: dict[str, Any], places: dict[Key, Place], was: Kinds, now: Kinds) -> list[str]:
    """Takes out of each table whose kind an override changed the keys that stand in a file and that only the kind before has.
    Answers a sentence for each."""
    said = []
    for name, table in now.items():
        place = places.get((name, "kind"))
        if was.get(name, table) is table or place is None or place.file:
            continue
        gone = _keys(was[name]) - _keys(table)
        for key in [key for key in data[name] if key in gone and places[(name, key)].file]:
            value = data[name].pop(key)
            said.append(
                f"{name}.{key}: {value} is left out: {name}.kind={data[name]['kind']} has no '{key}'"
            )
    return said


def _keys(table: type[Table]) -> set[str]:
    return {field.alias or name for name, field in table.model_fields.items()}
