"""Writes the generated pages of the manual: the commands from their own help, a recipe's keys and the names of columns from the
code that reads them.

python -m tools.reference        # `make docs` does it first; a test in tests/house holds the pages against this
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.core.config_table import Knob, Table
from alpaca_pipe.curate.filter_config import ALL
from alpaca_pipe.data.shapes.keys import known_names
from alpaca_pipe.generate.style_registry import style_class, style_names
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.schema import recipe_model
from alpaca_pipe.recipe.sweep_points import SWEEP, SweepTable

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
_MADE = "<!-- made by `python -m tools.reference`; edit the help texts in the code instead -->\n\n"
_PLAIN = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "table",
    "null": "null",
}


def commands() -> str:
    """Every command with all its options, as typer writes it down."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="alpaca-pipe")
    text = html.unescape(get_docs_for_click(obj=command, ctx=context, name="alpaca-pipe"))
    text = re.sub(
        r"\*\*Commands\*\*:\n\n(\* .*\n)+\n", "", text
    )  # summaries cut off in mid-sentence
    text = re.sub(
        r"^(\$ .*)$", lambda line: re.sub(r"\{(\w+)\}", r"\1", line[1]), text, flags=re.MULTILINE
    )
    text = re.sub(r"^\* `--help`.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\*\*Options\*\*:\n\n(?!\*)", "", text)
    text = text.replace("# `alpaca-pipe`\n", "# Commands\n", 1)
    return _MADE + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def recipe_keys() -> str:
    """Every key of a recipe: type, default, what it does, and whether it is a knob."""
    return _MADE + "\n".join(_recipe_lines()).strip() + "\n"


def columns() -> str:
    """Every name of a column whose meaning is known."""
    return _MADE + "\n".join(_column_lines()).strip() + "\n"


PAGES = {"commands.md": commands, "recipes.md": recipe_keys, "columns.md": columns}


def _column_lines() -> Iterator[str]:
    yield "# Columns by name\n"
    yield (
        "What the key of a row is taken for where [rows of your own](../own-data.md#you-have-rows-already) are read. Case, accents, "
        "blanks, `-` and `camelCase` do not matter; the last part of a name decides where the whole is not here "
        "(`customer_question` is a question). Of two names of one kind the earlier one is read. A name after *also* is used for "
        "other things too: it is read where nothing says it better. `--columns` overrules all of this.\n"
    )
    yield "| taken for | names |"
    yield "| --- | --- |"
    for meaning, (names, weak) in known_names().items():
        also = f"; *also* {_coded(weak)}" if weak else ""
        yield f"| {_TAKEN_FOR.get(meaning, meaning)} | {_coded(names)}{also} |"


def _coded(names: Sequence[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


_TAKEN_FOR = {
    "messages": "a conversation",
    "label": "whether the answer is good",
    "weight": "whether it is learned",
    "status": "whether the row is kept",
    "winner": "which of two answers is better",
    "instances": "several exchanges under one row",
    "media": "pictures and sound: the row is set aside",
    "tools": "tools: the row is set aside",
    "meta": "beside the point: told as unread",
}


def _recipe_lines() -> Iterator[str]:
    yield "# Every key of a recipe\n"
    yield (
        "A recipe is a YAML file: one table per stage (`generate`, `curate`, `train`, `evaluate`, `export`; one that is left "
        "out is not run) and the tables that they share. A key with a default may be left out. A *knob* changes speed or "
        "money, never the result: turning it makes nothing run again. `alpaca-pipe schema` prints the same for an editor.\n"
    )
    whole = recipe_model(CATALOG).model_json_schema(by_alias=True)
    defs = whole["$defs"]
    yield "## The recipe itself\n"
    own = {key: field for key, field in whole["properties"].items() if "$ref" not in str(field)}
    yield from _rows(own, set(), whole.get("required", ()), defs)
    for name, table in [
        *CATALOG.tables.items(),
        *((stage.kind, stage.config) for stage in CATALOG.stages),
        (SWEEP, SweepTable),
    ]:
        yield f"## `{name}:`\n"
        yield from _table(table, defs)


def _table(table: type[Table], defs: Mapping[str, Any]) -> Iterator[str]:
    yield from _said(table.__doc__)
    if kinds := table.variants():
        yield from _table_of_kinds(kinds)
        return
    yield from _keys(table, ())
    if table is CATALOG.stage("generate").config:
        yield from _styles()
    if table is CATALOG.stage("train").config:
        yield from _templates()


def _table_of_kinds(kinds: Sequence[type[Table]]) -> Iterator[str]:
    """Its kinds, and then their keys, those together that the same kinds have."""
    schemas = {one: one.model_json_schema(by_alias=True) for one in kinds}
    names = {one: schema["properties"]["kind"]["const"] for one, schema in schemas.items()}
    yield "| `kind` | what it is |\n|---|---|"
    for one, name in names.items():
        yield f"| `{name}` | {_cell(' '.join((one.__doc__ or '').split()))} |"
    yield ""
    groups: dict[tuple[str, ...], dict[str, type[Table]]] = {}
    for one, schema in schemas.items():
        for key, field in schema["properties"].items():
            having = [
                name
                for other, name in names.items()
                if schemas[other]["properties"].get(key) == field
            ]
            if key != "kind":
                groups.setdefault(tuple(having), {}).setdefault(key, one)
    for having, keys in sorted(groups.items(), key=lambda group: -len(group[0])):
        said = (
            "every kind" if len(having) == len(kinds) else ", ".join(f"`{one}`" for one in having)
        )
        yield f"Keys of {said}:\n"
        table = next(iter(keys.values()))
        yield from _keys(table, schemas[table]["properties"].keys() - keys.keys())


def _said(text: str | None) -> Iterator[str]:
    if text:
        yield re.sub(r"\s+", " ", text).strip() + "\n"


def _keys(table: type[Table], without: Collection[str]) -> Iterator[str]:
    schema = table.model_json_schema(by_alias=True)
    knobs = {
        field.alias or name
        for name, field in table.model_fields.items()
        if any(isinstance(mark, Knob) for mark in field.metadata)
    }
    fields = {key: field for key, field in schema["properties"].items() if key not in without}
    if fields:
        yield from _rows(fields, knobs, schema.get("required", ()), schema.get("$defs", {}))
    for key, field in fields.items():
        inner = next(iter(re.findall(r"#/\$defs/(\w+)", str(field))), None)
        if inner == "Filters":
            yield from _filters()
        elif inner and schema["$defs"][inner].get("properties") and not _is_teacher(schema, inner):
            part = schema["$defs"][inner]
            yield f"### `{key}:`\n"
            yield from _said(part.get("description"))
            yield from _rows(part["properties"], set(), part.get("required", ()), schema["$defs"])


def _is_teacher(schema: Mapping[str, Any], inner: str) -> bool:
    """A table within a table that has a chapter of its own."""
    return "kind" in schema["$defs"][inner]["properties"]


def _rows(
    fields: Mapping[str, Any], knobs: set[str], required: Any, defs: Mapping[str, Any]
) -> Iterator[str]:
    yield "| key | is | default | what it does |\n|---|---|---|---|"
    for key, field in fields.items():
        if "x-is" in field:
            continue
        default = (
            "**required**"
            if key in required
            else ""
            if field.get("default") is None
            else f"`{_short(field['default'])}`"
        )
        what = field.get("description") or next(
            (one["description"] for one in field.get("anyOf", ()) if "description" in one), ""
        )
        knob = "*knob* " if key in knobs else ""
        also = f" (also `{field['x-also']}`)" if "x-also" in field else ""
        yield f"| `{key}` | {_cell(_kind(field, defs))} | {default} | {knob}{_cell(what)}{also} |"
    yield ""


def _styles() -> Iterator[str]:
    yield "### `style:`\n"
    yield "| style | keys that not every style has | other defaults | asks for |\n|---|---|---|---|"
    for name in style_names():
        style = style_class(name)
        keys = ", ".join(f"`{key}`" for key in style.keys)
        defaults = ", ".join(f"`{key}: {_short(value)}`" for key, value in style.defaults.items())
        yield f"| `{name}` | {keys} | {defaults} | {_cell(style.says)} |"
    yield ""


def _templates() -> Iterator[str]:
    yield "### `template:`\n"
    yield "| template | what it is |\n|---|---|"
    for name, template in TEMPLATES.items():
        yield f"| `{name}` | {_cell(template.says)} |"
    yield ""


def _filters() -> Iterator[str]:
    yield "### `filters:`\n"
    yield "| filter | drops | unless told | settings |\n|---|---|---|---|"
    for one in ALL:
        settings = ", ".join(f"`{given.name}: {_short(given.default)}`" for given in one.settings)
        said = re.sub(r"\s+", " ", one.says)
        yield f"| `{one.name}` | {_cell(said)} | {'on' if one.on else 'off'} | {settings} |"
    yield ""


def _kind(field: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " · ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return "table"
    for several in ("anyOf", "oneOf"):
        if several in field:
            kinds = list(dict.fromkeys(_kind(one, defs) for one in field[several]))
            return (
                "number"
                if kinds == ["number", "text"]
                else " or ".join(kind for kind in kinds if kind != "null")
            )
    kind = _PLAIN.get(field.get("type", ""), "any")
    bounds = " ".join(
        f"{sign} {field[name]:g}"
        for name, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if name in field
    )
    if kind == "list" and "enum" in field.get("items", {}):
        return f"list of {_kind(field['items'], defs)}"
    return f"{kind} {bounds}".strip()


def _short(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    if isinstance(value, dict) and value:
        return "{...}"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
        print(FOLDER / name)
