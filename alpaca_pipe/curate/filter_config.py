"""Which filters are on: a table of switches with their settings, or the name of a set of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, create_model, model_validator
from pydantic_core import CoreSchema

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.registry import members
from alpaca_pipe.curate.filters.base import Filter, per_exchange

ALL = tuple(
    sorted(members("alpaca_pipe.curate.filters", Filter), key=lambda one: (one.order, one.name))
)
NAMES = tuple(one.name for one in ALL)
SETS: dict[str, frozenset[str]] = {
    "none": frozenset(),
    **{
        name: frozenset(one.name for one in ALL if name in one.sets)
        for name in dict.fromkeys(name for one in ALL for name in one.sets)
    },
    "default": frozenset(one.name for one in ALL if one.on),
}


@dataclass(frozen=True)
class ActiveFilter:
    """A filter with its settings. of_row: why a row of one exchange is dropped, or None. looks_at: of a conversation."""

    name: str
    of_row: Callable[[Example], str | None]
    looks_at: Literal["row", "answers", "all_answers"] = "row"

    def reason(self, example: Example) -> str | None:
        """Why a row is dropped, or None."""
        if self.looks_at == "row" or not example.messages:
            return self.of_row(example)
        return per_exchange(self.of_row, self.looks_at == "all_answers", example)


class _Switches(Table):
    """`name: true | false | {setting: value}` for each filter; or `none`, `stanford`, `default`, or a list of names."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return switched(value) if isinstance(value, str | list | tuple) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        table = handler.resolve_ref_schema(handler(core))
        known = {"enum": [*SETS, *NAMES, *(f"-{name}" for name in NAMES)]}
        return {
            "anyOf": [{"type": "array", "items": known}, {"type": "string", **known}, table],
            "description": table.get("description", ""),
        }

    def active(self) -> tuple[ActiveFilter, ...]:
        """The filters that are on, in the order in which they look at a row."""
        return tuple(
            _with(one, settings) for one in ALL if (settings := getattr(self, one.name)) is not None
        )

    def identity(self) -> dict[str, Any]:
        """Of each filter that is on its settings: one that is added later, and is off, makes nothing run again."""
        return {
            name: settings for name, settings in super().identity().items() if settings is not None
        }


def switched(names: str | Iterable[Any]) -> dict[str, bool]:
    """`stanford`, `a,b,c` or [a, b, c] as a table of switches: these are on, with their defaults, and all others off; a name
    with a minus before it is off, whatever set it is in (`default,-media_request`)."""
    listed = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
    on, off = set[str](), set[str]()
    for written in listed:
        name = written.removeprefix("-") if isinstance(written, str) else ""
        if name not in {*SETS, *NAMES}:
            raise ValueError(
                f"no filter and no set is called '{written}' - {did_you_mean(str(written), (*SETS, *NAMES))}"
            )
        (off if written.startswith("-") else on).update(SETS.get(name, {name}))
    if off and not on:
        on = set(SETS["default"])
    return {name: name in on - off for name in NAMES}


def _with(one: Filter, settings: Table) -> ActiveFilter:
    given = {name: getattr(settings, name) for name in type(settings).model_fields}
    check = partial(one.check, **given) if given else one.check
    return ActiveFilter(one.name, check, one.looks_at)


def first_reason(example: Example, filters: Iterable[ActiveFilter]) -> tuple[str, str] | None:
    """(filter, reason) of the first one that drops the row."""
    answers = ((one.name, one.reason(example)) for one in filters)
    return next(((name, reason) for name, reason in answers if reason), None)


class NoSettings(Table):
    """A filter that is only on or off."""


def _settings(one: Filter) -> type[Table]:
    """The model of a filter's settings, from the parameters of its function."""
    fields: dict[str, Any] = {
        p.name: (
            Annotated[p.annotation, Field(ge=0)] if p.annotation in (int, float) else p.annotation,
            p.default,
        )
        for p in one.settings
    }
    if not fields:
        return NoSettings
    name = "".join(part.capitalize() for part in one.name.split("_"))
    return create_model(name, __base__=Table, __doc__=one.says, **fields)


def _switch(one: Filter) -> tuple[Any, Any]:
    settings = _settings(one)
    first = next(iter(settings.model_fields.items()), None)
    by_word = first[0] if first and first[1].annotation is str else ""  # `language: en`

    def read(value: Any) -> Any:
        if isinstance(value, str) and by_word:
            return settings.model_validate({by_word: value})
        return settings() if value is True else None if value is False else value

    written: Any = bool | str | settings if by_word else bool | settings
    kind: Any = Annotated[
        settings | None,
        BeforeValidator(read, json_schema_input_type=written),
        Field(description=one.says.split("\n")[0]),
    ]
    return kind, one.on


if TYPE_CHECKING:
    Filters = _Switches
else:
    Filters = create_model("Filters", __base__=_Switches, **{one.name: _switch(one) for one in ALL})
