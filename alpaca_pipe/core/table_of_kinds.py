"""A table whose `kind` says which other keys it has: each kind is a table in a module of its own, found by its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, InitErrorDetails, ValidationError, core_schema

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.registry import member, modules


class TableOfKinds(Table):
    """The root names a folder, each module of which is called as its kind and holds the table of it, a subclass of the root.
    To read or to build the root gives a table of the kind that is named, and imports no other."""

    folder: ClassVar[str]  # of the root: the package with a module for each kind
    noun: ClassVar[str]  # what one is called in a sentence

    kind: str

    def __new__(cls, **fields: Any) -> Self:
        kind: Any = _chosen(cls, fields) if fields and _is_root(cls) else cls
        return super().__new__(kind)  # type: ignore[no-any-return]

    @classmethod
    def chosen(cls, data: Any) -> type[Table]:
        kind = data.get("kind") if isinstance(data, dict) else None
        return _of_kind(cls, kind) if _is_root(cls) and kind in modules(cls.folder) else cls

    @classmethod
    def variants(cls) -> tuple[type[Table], ...]:
        return tuple(_of_kind(cls, kind) for kind in modules(cls.folder)) if _is_root(cls) else ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if not _is_root(cls):
            return handler(source)
        return core_schema.with_info_plain_validator_function(
            lambda value, info: _read(cls, value, info)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if not _is_root(cls):
            return handler(core)
        for variant in cls.variants():
            variant.model_rebuild()
        return {"oneOf": [handler(one.__pydantic_core_schema__) for one in cls.variants()]}


def _is_root(cls: type[TableOfKinds]) -> bool:
    return "folder" in vars(cls)


def _of_kind(root: type[TableOfKinds], kind: str) -> type[TableOfKinds]:
    return member(root.folder, kind, root)


def _keys(table: type[Table]) -> dict[str, Any]:
    """Each key with its default."""
    return {
        field.alias or name: field.get_default(call_default_factory=True)
        for name, field in table.model_fields.items()
    }


def _chosen(root: type[TableOfKinds], data: Mapping[str, Any]) -> type[TableOfKinds]:
    """The table of the kind that is named. ValidationError where none is."""
    kind, known = data.get("kind"), modules(root.folder)
    if "kind" not in data:
        raise _error(root, [InitErrorDetails(type="missing", loc=("kind",), input=data)])
    if kind not in known:
        expected = " or ".join((", ".join(map(repr, known[:-1])), repr(known[-1])))
        wrong = InitErrorDetails(
            type="literal_error", loc=("kind",), input=kind, ctx={"expected": expected}
        )
        raise _error(root, [wrong])
    return _of_kind(root, str(kind))


def _read(root: type[TableOfKinds], value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, root):
        return value
    if not isinstance(value, dict):
        context = {"class_name": root.__name__}
        raise _error(root, [InitErrorDetails(type="model_type", input=value, ctx=context)])
    table = _chosen(root, value)
    value = _without_idle(root, table, value)
    try:
        if info.mode == "json":  # strict, and yet a list may become a tuple
            return table.model_validate_json(json.dumps(value), context=info.context)
        return table.model_validate(value, context=info.context)
    except ValidationError as error:
        raise _error(root, [_explained(root, table, one) for one in error.errors()]) from None


def _without_idle(
    root: type[TableOfKinds], table: type[TableOfKinds], data: dict[str, Any]
) -> dict[str, Any]:
    """Without what only other kinds have and stands there at their default: `base_url: null`, say, unsets it."""
    if not (unknown := data.keys() - _keys(table).keys()):
        return data
    others = [_keys(other) for other in root.variants()]
    idle = {key for key in unknown for keys in others if key in keys and data[key] == keys[key]}
    return {key: value for key, value in data.items() if key not in idle}


def _explained(root: type[TableOfKinds], table: type[TableOfKinds], error: Any) -> InitErrorDetails:
    """A key that only other kinds have is refused by a sentence that names them."""
    loc = error["loc"]
    having = [one for one in root.variants() if loc and loc[0] in _keys(one)]
    if error["type"] != "extra_forbidden" or len(loc) != 1 or not having:
        return InitErrorDetails(
            type=error["type"], loc=loc, input=error["input"], ctx=error.get("ctx", {})
        )
    others = " or ".join(one.__module__.rpartition(".")[2] for one in having)
    kind = table.__module__.rpartition(".")[2]
    said = ValueError(
        f"a {root.noun} of kind {kind} has no '{loc[0]}' - remove it, or use kind: {others}"
    )
    return InitErrorDetails(type="value_error", loc=loc, input=error["input"], ctx={"error": said})


def _error(root: type[TableOfKinds], errors: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data(root.__name__, errors)
