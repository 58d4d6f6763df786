"""A recipe: YAML in, validated tables out; every error at once, each with file, line, key and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from alpaca_pipe.core.errors import UserError, UserErrors, did_you_mean
from alpaca_pipe.core.files import shipped
from alpaca_pipe.core.secrets import holds_a_key
from alpaca_pipe.recipe.stage import Catalog, StageConfig
from alpaca_pipe.recipe.yaml import Place, override, read_yaml

_NAME = r"^\w[\w.-]*$"
_WORDS = {  # where pydantic speaks of Python's types
    "is_instance_of": "should be a number", "model_type": "should be a table of keys",
    "model_attributes_type": "should be a table of keys", "dict_type": "should be a table of keys",
    "string_pattern_mismatch": "should be of letters, digits, -, _ and ."}
_RESERVED = {"store", "rehearsal", "bench", "ledger.sqlite"}  # what else lies in a workspace


@dataclass(frozen=True)
class Recipe:
    """A validated recipe. stages and tables hold one frozen model each, stages in the order of the road."""

    name: str
    text: str  # as the user wrote it
    seed: int
    stages: Mapping[str, StageConfig]
    tables: Mapping[str, Any]
    overrides: tuple[str, ...] = ()

    def rehearsed(self) -> Recipe:
        """The same road in minutes, for nothing: every table shrunk by its own rule."""
        return replace(self, stages={kind: config.rehearsed() for kind, config in self.stages.items()},
                       tables={name: table.rehearsed() for name, table in self.tables.items()})

    def differences(self, other: Recipe) -> list[str]:
        """`table.key=value` for each key that this recipe has otherwise than another one."""
        mine, theirs = self.resolved(), other.resolved()
        return [f"{table}.{key}={value}" for table, keys in mine.items() if isinstance(keys, dict)
                for key, value in keys.items() if theirs.get(table, {}).get(key) != value and value is not None]

    def everything(self) -> dict[str, Any]:
        """All tables by name: what an estimate may look at."""
        return {**self.tables, **self.stages, "seed": self.seed}

    def resolved(self) -> dict[str, Any]:
        """All tables as plain JSON, defaults filled in, for lock.json and the report."""
        plain = {name: table.model_dump(mode="json", by_alias=True)
                 for name, table in {**self.tables, **self.stages}.items()}
        return {"name": self.name, "seed": self.seed, **plain}


def find_recipe(name: str) -> Path:
    """A path, or the name of a shipped recipe."""
    path = Path(name)
    if path.is_file():
        return path
    known = {file.stem: file for file in shipped("recipes").glob("*.yaml")}
    if name in known:
        return known[name]
    what = f"{name}: this is a folder" if path.is_dir() else f"{name}: no such file, and no shipped recipe of that name"
    raise UserError(what, did_you_mean(Path(name).stem, known))


def load_recipe(name: str, catalog: Catalog, overrides: Sequence[str] = (), runs: Path | None = None) -> Recipe:
    """Reads, overrides and validates a recipe. runs: the workspace in which it names earlier runs, as RECIPE@DATE. Raises
    UserErrors with all that is wrong with it."""
    path = find_recipe(name)
    text = _text(path)
    _refuse_keys(text, path, overrides)
    data, places = read_yaml(text, str(path))
    for item in overrides:
        override(data, places, item)
    for table in [*catalog.tables, *(stage.kind for stage in catalog.stages)]:
        if table in data and data[table] is None:
            data[table] = {}  # `export:` with nothing after it asks for the stage as it is
    try:
        # JSON mode: strict, and yet a list may become a tuple and a string a path
        whole: Any = recipe_model(catalog).model_validate_json(json.dumps(data, default=str), context={
            "folder": path.resolve().parent, "runs": runs})
    except ValidationError as error:
        found = [_explained(item, data, places, catalog) for item in error.errors()]
        raise UserErrors(error for _, error in sorted(found, key=lambda pair: pair[0])) from None
    stages = {stage.kind: getattr(whole, stage.kind) for stage in catalog.stages
              if getattr(whole, stage.kind) is not None}
    tables = {table: getattr(whole, table) or _default(kind) for table, kind in catalog.tables.items()}
    tables = {table: value for table, value in tables.items() if value is not None}
    recipe = Recipe(_name(whole.name or path.stem, path), text, whole.seed, stages, tables, tuple(overrides))
    _check_complete(recipe, places, catalog)
    return recipe


def recipe_model(catalog: Catalog) -> type[BaseModel]:
    """The pydantic model of a whole recipe: one optional table per stage and per shared table."""
    name = Annotated[str, Field(pattern=_NAME, description="names the run folder; default: the file's name")]
    fields: dict[str, Any] = {
        "recipe_version": (Literal[1], 1),
        "name": (name | None, None),
        "seed": (Annotated[int, Field(ge=0, description="of everything that is drawn at random")], 42),
    }
    for table, kind in catalog.tables.items():
        fields[table] = (kind | None, None)
    for stage in catalog.stages:
        fields[stage.kind] = (stage.config | None, None)
    return create_model("Recipe", __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _name(name: str, path: Path) -> str:
    """The name of the run folder: no folder of the workspace itself, and nothing that leads out of it."""
    if name in _RESERVED or not re.fullmatch(_NAME, name):
        raise UserError(f"{path}: a recipe cannot be called '{name}'", "give it another with `name:`, of letters, digits, - and _")
    return name


def _default(kind: Any) -> Any:
    """The table as it is when the recipe does not name it, where all its fields have defaults."""
    try:
        return kind()
    except (ValidationError, TypeError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}", "a recipe is a UTF-8 text file that you may read") from None


def _refuse_keys(text: str, path: Path, overrides: Sequence[str]) -> None:
    """A recipe is copied into the workspace and sent to others, its comments too. The key is not repeated."""
    places = [f"{path}:{number}" for number, line in enumerate(text.splitlines(), start=1) if holds_a_key(line)]
    places += [f"override '{item.partition('=')[0]}=...'" for item in overrides if holds_a_key(item)]
    if places:
        raise UserErrors(UserError(f"{place}: here stands what looks like a key", "put it in an environment variable (export "
                                   "OPENAI_API_KEY=...) and that name into teacher.api_key_env; a key that stood in a file "
                                   "should be revoked") for place in places)


def _check_complete(recipe: Recipe, places: Mapping[tuple[Any, ...], Place], catalog: Catalog) -> None:
    """Every stage finds the shared tables it uses and the stages whose files it reads."""
    errors = []
    if not recipe.stages:
        kinds = ", ".join(stage.kind for stage in catalog.stages)
        errors.append(UserError(f"{places[()]}: no stage is named", f"add at least one of: {kinds}"))
    for stage in (catalog.stage(kind) for kind in recipe.stages):
        where = places.get((stage.kind,), places[()])
        for table in stage.uses:
            if table != "seed" and not table.endswith("?") and table not in recipe.tables:
                errors.append(UserError(f"{where}: {stage.kind}: needs a table '{table}:'", f"add '{table}:' to the recipe"))
        for source in dict.fromkeys(read.split("/")[0] for read in stage.reads if not read.endswith("?")):
            if source not in recipe.stages:
                errors.append(UserError(f"{where}: {stage.kind}: reads what '{source}' makes", f"add a table '{source}:'"))
    if errors:
        raise UserErrors(errors)


def _explained(item: Any, data: Any, places: Mapping[tuple[Any, ...], Place],
               catalog: Catalog) -> tuple[int, UserError]:
    """One pydantic error as our sentence, with the line to sort by."""
    key, owner = _walk(item["loc"], data, catalog)
    at = key if item["type"] != "missing" else key[:-1]
    while at not in places:
        at = at[:-1]
    name, place = ".".join(map(str, key)), places[at]
    if item["type"] == "extra_forbidden":
        renamed = getattr(owner, "renamed", {}).get(key[-1])
        cure = f"it is called '{renamed}' now" if renamed else did_you_mean(str(key[-1]), _keys(owner))
        what = "unknown key"
    elif item["type"] == "missing":
        what, cure = "this key is missing", f"add '{key[-1]}:'"
    else:
        message = _WORDS.get(item["type"], item["msg"]).removeprefix("Value error, ").replace("Input should be", "should be")
        what, _, cure = message.partition(" - ")
        if item["type"] != "value_error":
            what = f"{what}, not {_shown(item['input'])}"
    return place.line, UserError(f"{place}: {name}: {what}" if name else f"{place}: {what}", cure)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _walk(loc: tuple[Any, ...], data: Any, catalog: Catalog) -> tuple[tuple[Any, ...], Any]:
    """The key as the user wrote it (pydantic's loc without its union tags), and the model that owns its last part."""
    key: list[Any] = []
    owner: Any = recipe_model(catalog)
    inside: Any = owner
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        options = _models(inside)
        tagged = [m for m in options if part in _tags(m)]
        holds = isinstance(data, dict) and part in data or isinstance(data, list) and isinstance(part, int)
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


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models inside an annotation (unions, Annotated, optionals)."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in _models(part)]


def _tags(model: type[BaseModel]) -> set[Any]:
    kind = model.model_fields.get("kind")
    return {model.__name__, *(get_args(kind.annotation) if kind else ())}


def _keys(owner: Any) -> list[str]:
    return [field.alias or name for name, field in owner.model_fields.items()] if issubclass(owner, BaseModel) else []

