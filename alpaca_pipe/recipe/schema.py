"""A recipe: YAML in, validated tables out; every error at once, each with file, line, key and what to do."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import shipped
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.safe_names import is_recipe_name
from alpaca_pipe.data.terms import Use
from alpaca_pipe.recipe.extends import EXTENDS, VERSION, find_recipe, read_recipe, refuse_keys
from alpaca_pipe.recipe.located_yaml import Key, Place, override
from alpaca_pipe.recipe.other_names import first_names, in_one_name, tables_of
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.sweep_points import SWEEP, SweepPoint, SweepTable, sweep_points

_UNION_TAG = lazy_regex(
    r"(literal|tuple|list|set|dict|union|nullable|function-\w+)\["
)  # pydantic's, of a type
_USUAL = ("generate", "curate", "train", "evaluate", "export", "teacher", "base")
_KINDS = ("tuple_type", "list_type", "dict_type", "bool_type", "none_required")
_NAME = r"^\w[\w.-]*$"
_READ = ConfigDict(extra="forbid", strict=True, defer_build=True)
_WORDS = {  # where pydantic speaks of Python's types
    "is_instance_of": "should be a number",
    "model_type": "should be a table of keys",
    "model_attributes_type": "should be a table of keys",
    "dict_type": "should be a table of keys",
    "string_type": "should be a text",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "string_pattern_mismatch": "should be of letters, digits, -, _ and .",
}


@dataclass(frozen=True)
class Recipe:
    """A validated recipe. stages and tables hold one frozen model each, stages in the order of the road."""

    name: str
    text: str  # as the user wrote it
    seed: int
    stages: Mapping[str, Table]
    tables: Mapping[str, Any]
    overrides: tuple[str, ...] = ()
    use: Use = "research"  # what the result is for: licences are held against it
    files: tuple[Path, ...] = ()  # that it was read from: its own first, then those that it extends
    written: Mapping[str, Any] = field(
        default_factory=dict
    )  # as these files and the overrides have it, no default filled in
    left_out: tuple[str, ...] = ()  # sentences on what an override made idle
    sweep: tuple[SweepPoint, ...] = ()  # of a recipe that is several: see sweep_points.py

    def rehearsed(self) -> Recipe:
        """The same road in minutes, for nothing: every table shrunk by its own rule."""
        return replace(
            self,
            stages={kind: config.rehearsed() for kind, config in self.stages.items()},
            tables={name: table.rehearsed() for name, table in self.tables.items()},
        )

    def differences(self, other: Recipe) -> list[str]:
        """`table.key=value` for each key that both recipes have, and this one otherwise."""
        mine, theirs = self.resolved(), other.resolved()
        return list(_differences(mine, theirs))

    def everything(self) -> dict[str, Any]:
        """All tables by name: what an estimate may look at."""
        return {**self.tables, **self.stages, "seed": self.seed}

    def resolved(self) -> dict[str, Any]:
        """All tables as plain JSON, defaults filled in, for lock.json and the report."""
        plain = {
            name: table.model_dump(mode="json", by_alias=True)
            for name, table in {**self.tables, **self.stages}.items()
        }
        return {"name": self.name, "seed": self.seed, "use": self.use, **plain}


def _differences(mine: Mapping[str, Any], theirs: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Of tables within tables the keys that differ, not the tables."""
    for key, value in mine.items():
        name, other = f"{at}{key}", theirs.get(key)
        if isinstance(value, dict):
            yield from _differences(value, other if isinstance(other, dict) else {}, f"{name}.")
        elif at and value is not None and key in theirs and other != value:
            yield f"{name}={value}"


def load_recipe(
    name: str,
    catalog: Catalog,
    overrides: Sequence[str] = (),
    runs: Path | None = None,
    complete: bool = True,
    point: bool = False,
) -> Recipe:
    """Reads, overrides and validates a recipe, those that it extends included. runs: the workspace in which it names earlier
    runs, as RECIPE@DATE.  complete: False for a file of some tables.  point: it is one point of its own sweep. Raises UserErrors with all that is wrong with it."""
    path = find_recipe(name)
    refuse_keys((f"override '{item.partition('=')[0]}=...'", item) for item in overrides)
    written = read_recipe(
        path, lambda data, places: in_one_name(data, places, recipe_model(catalog, data))
    )
    data, places = written.data, written.places
    left_out = _override(data, places, overrides, catalog)
    if point:
        data.pop(SWEEP, None)
    for table in [*catalog.tables, *(stage.kind for stage in catalog.stages)]:
        if table in data and data[table] is None:
            data[table] = {}  # `export:` with nothing after it asks for the stage as it is
    try:
        # JSON mode: strict, and yet a list may become a tuple and a string a path
        whole: Any = recipe_model(catalog, data).model_validate_json(
            json.dumps(data, default=str),
            context={
                "folder": path.resolve().parent,
                "elsewhere": written.elsewhere,
                "runs": runs,
                "own": _own_folder(path, data, runs),
            },
        )
    except ValidationError as error:
        found = [_explained(item, data, places, catalog) for item in _one_of_each(error.errors())]
        order = [str(file) for file in written.files]
        raise UserErrors(
            error for _, error in sorted(found, key=lambda pair: _by_line(pair[0], order))
        ) from None
    stages = {
        stage.kind: getattr(whole, stage.kind)
        for stage in catalog.stages
        if getattr(whole, stage.kind, None) is not None
    }
    tables = {
        table: getattr(whole, table, None) or _default(kind)
        for table, kind in catalog.tables.items()
    }
    tables = {table: value for table, value in tables.items() if value is not None}
    recipe = Recipe(
        _name(whole.name or path.stem, path),
        written.text,
        whole.seed,
        stages,
        tables,
        tuple(overrides),
        whole.use,
        written.files,
        data,
        tuple(left_out),
        sweep_points(whole.sweep, places) if whole.sweep else (),
    )
    if complete:
        _check_complete(recipe, places, catalog)
    return recipe


def _override(
    data: dict[str, Any],
    places: dict[Key, Place],
    overrides: Sequence[str],
    catalog: Catalog,
) -> list[str]:
    """Applies them in turn; sentences on what they made idle."""
    names = [item.partition("=")[0].strip() for item in overrides]
    model = recipe_model(catalog, {*data, *(name.split(".")[0] for name in names)})
    if any(name.split(".")[0] == EXTENDS for name in names):
        raise UserError(
            f"{EXTENDS}=...: what a recipe extends is written in its file",
            f"write {EXTENDS}: there",
        )

    def apply() -> None:
        for item in overrides:
            override(data, places, item, lambda parts: first_names(parts, data, model))

    if not any(name.endswith(".kind") for name in names):
        apply()
        return []
    from alpaca_pipe.recipe.other_kind import kinds_in, leave_out

    tables = {name: kind for name, kind in catalog.tables.items() if isinstance(kind, type)}
    was = kinds_in(data, tables)
    apply()
    return leave_out(data, places, was, kinds_in(data, tables))


def _as_written(key: tuple[Any, ...], places: Mapping[tuple[Any, ...], Place]) -> str:
    """`table.key`, by the names that the user gave."""
    steps = (places.get(key[: length + 1]) for length in range(len(key)))
    names = (
        place.written if place and place.written else part
        for part, place in zip(key, steps, strict=True)
    )
    return ".".join(map(str, names))


def _by_line(place: Place, files: Sequence[str]) -> tuple[int, int]:
    """Overrides first, then the recipe's own lines, then those of what it extends."""
    return files.index(place.file) if place.file in files else -1, place.line


def recipe_model(catalog: Catalog, named: Collection[str] | None = None) -> type[BaseModel]:
    """The pydantic model of a whole recipe: one optional table per stage and per shared table; where tables are `named`, of one
    that has no others, for which nobody waits."""
    name = Annotated[
        str, Field(pattern=_NAME, description="names the run folder; default: the file's name")
    ]
    fields: dict[str, Any] = {
        "recipe_version": (
            Annotated[
                Literal[1],
                Field(description="`alpaca-pipe migrate FILE` brings an older one up to date"),
            ],
            VERSION,
        ),
        EXTENDS: (
            Annotated[
                str | None,
                Field(
                    description="path or name of a recipe that this one extends: tables are merged key by key, this file wins"
                ),
            ],
            None,
        ),
        "name": (name | None, None),
        "seed": (
            Annotated[int, Field(ge=0, description="the random seed of the whole run")],
            42,
        ),
        "use": (
            Annotated[
                Use,
                Field(
                    description="what the result is for; licences and terms are checked against it"
                ),
            ],
            "research",
        ),
    }
    fields[SWEEP] = (
        Annotated[
            SweepTable | None,
            Field(description="keys to vary: the recipe is run once for each point, under one cap"),
        ],
        None,
    )
    for table, kind in catalog.tables.items():
        if named is None or table in named:
            fields[table] = (kind | None, None)
    for stage in catalog.stages:
        if named is None or stage.kind in named:
            fields[stage.kind] = (stage.config | None, None)
    return create_model("Recipe", __config__=_READ, **fields)


def _name(name: str, path: Path) -> str:
    """The name of the run folder: no folder of the workspace itself, and nothing that leads out of it."""
    if not is_recipe_name(name):
        raise UserError(
            f"{path}: a recipe cannot be called '{name}'",
            "give it another with `name:`, of letters, digits, - and _, that is neither one of the workspace's own "
            "(store, rehearsal, budget.yaml, ledger.sqlite) nor that of a file",
        )
    return name


def _own_folder(path: Path, data: Mapping[str, Any], runs: Path | None) -> Path | None:
    """Where the user's own files of a recipe lie: beside it; of a shipped one, which is not the user's, in the workspace."""
    if path.resolve().parent != shipped("recipes").resolve():
        return path.resolve().parent
    return runs / str(data.get("name") or path.stem) if runs else None


def _default(kind: Any) -> Any:
    """The table as it is when the recipe does not name it, where all its fields have defaults."""
    try:
        return kind()
    except (ValidationError, TypeError):
        return None


def _check_complete(
    recipe: Recipe, places: Mapping[tuple[Any, ...], Place], catalog: Catalog
) -> None:
    """Every stage finds the shared tables it uses and the stages whose files it reads."""
    errors = []
    if not recipe.stages:
        kinds = ", ".join(stage.kind for stage in catalog.stages)
        errors.append(
            UserError(f"{places[()]}: no stage is named", f"add at least one of: {kinds}")
        )
    for stage in (catalog.stage(kind) for kind in recipe.stages):
        where = places.get((stage.kind,), places[()])
        for table in stage.uses:
            if table != "seed" and not table.endswith("?") and table not in recipe.tables:
                errors.append(
                    UserError(
                        f"{where}: {stage.kind}: needs a table '{table}:'",
                        f"add '{table}:' to the recipe",
                    )
                )
        for source in dict.fromkeys(
            read.split("/")[0]
            for read in (*stage.reads, *recipe.stages[stage.kind].reads())
            if not read.endswith("?")
        ):
            if source not in recipe.stages:
                errors.append(
                    UserError(
                        f"{where}: {stage.kind}: reads what '{source}' makes",
                        f"add a table '{source}:'",
                    )
                )
    if errors:
        raise UserErrors(errors)


def _one_of_each(errors: Sequence[Any]) -> list[Any]:
    """Where a key may be one of several things (a word, or a list of words), it is none of them once: that it is no list is not
    said beside which words there are."""
    said: dict[tuple[Any, ...], list[Any]] = {}
    for item in errors:
        key = tuple(part for part in item["loc"] if not _UNION_TAG.match(str(part)))
        said.setdefault(key, []).append(item)
    return [
        item
        for some in said.values()
        for item in some
        if item["type"] not in _KINDS or all(one["type"] in _KINDS for one in some)
    ]


def _explained(
    item: Any, data: Any, places: Mapping[tuple[Any, ...], Place], catalog: Catalog
) -> tuple[Place, UserError]:
    """One pydantic error as our sentence, with the place to sort by."""
    key, owner = _walk(item["loc"], data, catalog)
    at = key if item["type"] != "missing" else key[:-1]
    while at not in places:
        at = at[:-1]
    name, place = _as_written(key, places), places[at]
    if (
        item["type"] == "extra_forbidden"
        and len(key) == 1
        and (homes := _homes(str(key[0]), catalog, data))
    ):
        what, cure = "this key belongs into a table", f"did you mean '{homes[0]}'?"
    elif item["type"] == "extra_forbidden":
        renamed = getattr(owner, "renamed", {}).get(key[-1])
        cure = (
            f"it is called '{renamed}' now; `alpaca-pipe migrate` writes it so"
            if renamed
            else did_you_mean(str(key[-1]), _keys(owner))
        )
        what = "unknown key"
        if why := getattr(owner, "absent", {}).get(key[-1]):
            what, cure = f"there is no such key, for {why}", "remove it"
    elif item["type"] == "missing":
        what, cure = "this key is missing", f"add '{key[-1]}:'"
    else:
        message = (
            _WORDS.get(item["type"], item["msg"])
            .removeprefix("Value error, ")
            .replace("Input should be", "should be")
        )
        what, _, cure = message.partition(" - ")
        if item["type"] != "value_error":
            what = f"{what}, not {_shown(item['input'])}"
    return place, UserError(f"{place}: {name}: {what}" if name else f"{place}: {what}", cure)


def _homes(key: str, catalog: Catalog, data: Any) -> list[str]:
    """`table.key` of each table that has such a key: those that the recipe has first, then those of the usual road."""
    tables = {**{stage.kind: stage.config for stage in catalog.stages}, **catalog.tables}
    names = [name for name, table in tables.items() if key in _keys(table)]
    names.sort(key=lambda name: (name not in data, name not in _USUAL))
    return [f"{name}.{key}" for name in names]


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _walk(loc: tuple[Any, ...], data: Any, catalog: Catalog) -> tuple[tuple[Any, ...], Any]:
    """The key as the user wrote it (pydantic's loc without its union tags), and the model that owns its last part."""
    key: list[Any] = []
    owner: Any = recipe_model(catalog)
    inside: Any = owner
    loc = tuple(part for part in loc if not (isinstance(part, str) and _UNION_TAG.match(part)))
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        options = tables_of(inside, data)
        tagged = [m for m in options if part in _tags(m)]
        holds = (
            isinstance(data, dict)
            and part in data
            or isinstance(data, list)
            and isinstance(part, int)
        )
        if not holds and not last:
            inside = tagged[0] if tagged else inside
            continue
        if not holds and isinstance(part, str) and tagged and len(options) > 1:
            continue
        key.append(part)
        owner = options[0] if options else owner
        field = {f.alias or n: f for m in options for n, f in m.model_fields.items()}.get(part)
        inside = field.annotation if field else None
        data = data[part] if holds else None
    return tuple(key), owner


def _tags(model: type[BaseModel]) -> set[Any]:
    kind = model.model_fields.get("kind")
    return {model.__name__, *(get_args(kind.annotation) if kind else ())}


def _keys(owner: Any) -> list[str]:
    return (
        [
            *(field.alias or name for name, field in owner.model_fields.items()),
            *(owner.other_names() if issubclass(owner, Table) else ()),
        ]
        if issubclass(owner, BaseModel)
        else []
    )
