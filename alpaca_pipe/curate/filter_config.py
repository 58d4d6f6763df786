"""Which objections count: a table of switches with their settings, or the name of a set of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, create_model, model_validator
from pydantic_core import CoreSchema

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filters import ALL, OFF, STANFORD, Filter

NAMES = tuple(one.__name__ for one in ALL)
SETS: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "stanford": frozenset(one.__name__ for one in STANFORD),
    "default": frozenset(one.__name__ for one in ALL if one not in OFF),
}


@dataclass(frozen=True)
class Rule:
    """An objection with its settings."""

    name: str
    objection: Callable[[Example], str | None]


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
        known = {"enum": [*SETS, *NAMES]}
        return {
            "anyOf": [{"type": "array", "items": known}, {"type": "string", **known}, table],
            "description": table.get("description", ""),
        }

    def rules(self) -> tuple[Rule, ...]:
        """The filters that are on, in the order of the list above."""
        return tuple(
            _rule(one, settings)
            for one in ALL
            if (settings := getattr(self, one.__name__)) is not None
        )


def switched(names: str | Iterable[Any]) -> dict[str, bool]:
    """`stanford`, `a,b,c` or [a, b, c] as a table of switches: these are on, with their defaults, and all others off."""
    listed = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
    on: set[str] = set()
    for name in listed:
        if not isinstance(name, str) or name not in {*SETS, *NAMES}:
            raise ValueError(
                f"no filter and no set is called '{name}' - {did_you_mean(str(name), (*SETS, *NAMES))}"
            )
        on |= SETS.get(name, {name})
    return {name: name in on for name in NAMES}


def _rule(one: Filter, settings: Table) -> Rule:
    given = {name: getattr(settings, name) for name in type(settings).model_fields}
    return Rule(one.__name__, lambda example: one(example, **given))


def first_objection(example: Example, rules: Iterable[Rule]) -> tuple[str, str] | None:
    """(rule, reason) of the first filter that objects."""
    answers: Iterator[tuple[str, str | None]] = (
        (rule.name, rule.objection(example)) for rule in rules
    )
    return next(((name, reason) for name, reason in answers if reason), None)


def _settings(one: Filter) -> type[Table]:
    """The model of a filter's settings: its parameters after the example, with their types and defaults."""
    parameters = list(inspect.signature(one, eval_str=True).parameters.values())[1:]
    fields: dict[str, Any] = {
        p.name: (
            Annotated[p.annotation, Field(ge=0)] if p.annotation in (int, float) else p.annotation,
            p.default,
        )
        for p in parameters
    }
    name = "".join(part.capitalize() for part in one.__name__.split("_"))
    return create_model(name, __base__=Table, __doc__=one.__doc__, **fields)


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
        Field(description=inspect.cleandoc(one.__doc__ or "").split("\n")[0]),
    ]
    return kind, one not in OFF


if TYPE_CHECKING:
    Filters = _Switches
else:
    Filters = create_model(
        "Filters", __base__=_Switches, **{one.__name__: _switch(one) for one in ALL}
    )
