"""A table of a recipe: its fields, which of them are speed only, and which are files known by their content."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, ValidationInfo
from pydantic_core import InitErrorDetails, ValidationError

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import refuse_pipe, tree_digest
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.core.outside_numbers import BadNumber, exact_number

_LARGEST, _FINEST = 10**15, 30  # of a number in a recipe, and its digits behind the point


@dataclass(frozen=True)
class Knob:
    """Marks a field that may change speed or money, never the result: it stays out of the identity."""


@dataclass(frozen=True)
class Added:
    """Marks a key that came when steps had been sealed already: at its default it stays out of the identity, so they stay
    up to date."""


def _with_other_names(schema: dict[str, Any], table: type[Any]) -> None:
    """Editors are told of both names; the manual names the second beside the first."""
    properties = schema.get("properties", {})
    for second, first in table.other_names().items():
        if first in properties:
            properties[first]["x-also"] = second
            other = {k: v for k, v in properties[first].items() if k not in ("default", "x-also")}
            properties[second] = {**other, "description": f"the same as {first}", "x-is": first}


class Table(BaseModel):
    """One table of a recipe. Frozen, strict, unknown keys refused.

    A field whose type is `Annotated[..., Knob()]` stays out of the identity, one with `Added()` does at its default; a path
    enters it by content, not by name.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        defer_build=True,
        json_schema_extra=_with_other_names,
    )

    # The field's term -> our key: both are read and mean the same (recipe/other_names.py).
    also: ClassVar[Mapping[str, str]] = {}

    # Keys that the field knows and this table has not -> why not.
    absent: ClassVar[Mapping[str, str]] = {}

    def identity(self) -> dict[str, Any]:
        """What decides the result, as plain JSON: no knob, no path, no host, no time."""
        answer: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if any(isinstance(mark, Knob) for mark in field.metadata):
                continue
            if value == field.default and any(isinstance(mark, Added) for mark in field.metadata):
                continue
            answer[name] = _plain(value)
        return answer

    def reads(self) -> tuple[str, ...]:
        """Files of earlier stages that are read because of what stands here, beside those that the stage always reads."""
        return ()

    def shares(self) -> tuple[str, ...]:
        """Shared tables that are used because of what stands here, beside those that the stage always uses."""
        return ()

    def brings(self) -> tuple[Ingredient, ...]:
        """Models and data of others, whose licences and terms bind what is made with this table."""
        return ()

    @classmethod
    def other_names(cls) -> dict[str, str]:
        """`also`, with what the tables have that it is made of."""
        merged: dict[str, str] = {}
        for one in reversed(cls.__mro__):
            merged |= vars(one).get("also", {})
        return merged

    @classmethod
    def chosen(cls, data: Any) -> type[Table]:
        """The table that such data is read by: itself, or of several kinds the one that is named in it."""
        return cls

    @classmethod
    def variants(cls) -> tuple[type[Table], ...]:
        """The tables of its kinds, where it has several."""
        return ()

    def rehearsed(self) -> Self:
        """The same table, small enough for a rehearsal: minutes on 2 cores, no money, no network."""
        return self


def wrong_key(key: str, value: Any, sentence: str) -> ValidationError:
    """What a validator of the whole table raises where one key of it is wrong. sentence: `what - cure`."""
    return ValidationError.from_exception_data(
        key,
        [
            InitErrorDetails(
                type="value_error", loc=(key,), input=value, ctx={"error": ValueError(sentence)}
            )
        ],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Table):
        return value.identity()
    if isinstance(value, Path):
        return tree_digest(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _exact(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    try:
        number = exact_number(value, least=-_LARGEST, most=_LARGEST)
    except BadNumber as bad:
        raise ValueError(f"{bad} cannot be used as a number here") from None
    if number and number.adjusted() < -_FINEST:
        raise ValueError(f"{number} is too small to be used here")
    return number


def folder_of(value: str, info: ValidationInfo) -> Path:
    """The folder of the file in which a value is written: the recipe's own (validation context `folder`), or that of the
    recipe that it extends (`elsewhere`: value -> folder)."""
    context = info.context or {}
    return Path(context.get("elsewhere", {}).get(value) or context.get("folder", "."))


def from_recipe(value: Any, info: ValidationInfo) -> Path:
    """A path as the recipe means it: from the folder of the file in which it is written, or, where nothing is there, from
    the working directory, as an override on the command line means it."""
    if isinstance(value, str):
        beside = folder_of(value, info) / Path(value).expanduser()
        here = Path.cwd() / value
        return here if here.exists() and not beside.exists() else beside
    if not isinstance(value, Path):
        raise ValueError("should be a path")
    return value


def existing_path(value: Any, info: ValidationInfo) -> Path:
    path = from_recipe(value, info)
    if not path.exists():
        raise ValueError(
            f"no such file or folder: {path} - a path is read from the folder of the recipe"
        )
    try:
        refuse_pipe(path)
    except UserError as error:
        raise ValueError(str(error)) from None
    return path


Exact = Annotated[Decimal, BeforeValidator(_exact)]  # the decimal that the user wrote: 0.7 is 7/10
# Plain, because in JSON mode pydantic's own Path refuses the path that a validator before it has made.
AnyPath = Annotated[Path, PlainValidator(from_recipe, json_schema_input_type=str)]
ExistingPath = Annotated[Path, PlainValidator(existing_path, json_schema_input_type=str)]
