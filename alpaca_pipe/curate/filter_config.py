"""Which filters are on: a table of switches with their settings, or the name of a set of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, create_model, model_validator
from pydantic_core import CoreSchema

from alpaca_pipe.core.config_table import Added, Table
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.own_function import OwnFunction, is_own
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
# What else a row is dropped by: a test holds that these are all.
_OTHER_RULES = (
    *("likeness", "by_hand", "contamination", "grade", "same_answer"),
    *("unreadable", "turns", "bad_answer", "do_not_learn", "other_split"),
)


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


def _several(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


class _Switches(Table):
    """`name: true | false | {setting: value}` for each filter; or `none`, `stanford`, `default`, or a list of names. A name
    `FILE.py:function` is a filter of the user's own."""

    own: Annotated[tuple[OwnFunction, ...], BeforeValidator(_several), Added()] = Field(
        (), description="filters of your own, `mine.py:too_polite` each: see the manual"
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return switched(value) if isinstance(value, str | list | tuple) else value

    @model_validator(mode="after")
    def _own_names(self) -> Self:
        """A rule's name stands in rejected.jsonl, so it must say whose it is."""
        taken = {*NAMES, *_OTHER_RULES}
        for one in self.own:
            if one.function in taken:
                raise ValueError(
                    f"{one.called}: a rule is called '{one.function}' already - give the function another name"
                )
            taken.add(one.function)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        table = handler.resolve_ref_schema(handler(core))
        names = {"enum": [*SETS, *NAMES, *(f"-{name}" for name in NAMES)]}
        known = {"anyOf": [names, {"type": "string", "pattern": r"\.py:\w+$"}]}
        return {
            "anyOf": [{"type": "array", "items": known}, {"type": "string", **known}, table],
            "description": table.get("description", ""),
        }

    def active(self) -> tuple[ActiveFilter, ...]:
        """The filters that are on, in the order in which they look at a row."""
        ours = (
            _with(one, settings) for one in ALL if (settings := getattr(self, one.name)) is not None
        )
        return (*ours, *(_own(one) for one in self.own))

    def identity(self) -> dict[str, Any]:
        """Of each filter that is on its settings: one that is added later, and is off, makes nothing run again."""
        return {
            name: settings for name, settings in super().identity().items() if settings is not None
        }


def switched(names: str | Iterable[Any]) -> dict[str, Any]:
    """`stanford`, `a,b,c` or [a, b, c] as a table of switches: these are on, with their defaults, and all others off; a name
    with a minus before it is off, whatever set it is in (`default,-media_request`). `FILE.py:function` is one of the user's
    own, beside the default set where nothing else is named."""
    listed = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
    own = [one for one in listed if is_own(one)]
    on, off = set[str](), set[str]()
    for written in (one for one in listed if not is_own(one)):
        name = written.removeprefix("-") if isinstance(written, str) else ""
        if name not in {*SETS, *NAMES}:
            raise ValueError(
                f"no filter and no set is called '{written}' - {did_you_mean(str(written), (*SETS, *NAMES))}"
            )
        (off if written.startswith("-") else on).update(SETS.get(name, {name}))
    if (off and not on) or len(own) == len(listed) > 0:
        on = set(SETS["default"])
    return {name: name in on - off for name in NAMES} | ({"own": tuple(own)} if own else {})


def _own(named: OwnFunction) -> ActiveFilter:
    from alpaca_pipe.curate.own_filter import OwnFilter

    return ActiveFilter(named.function, OwnFilter(named))


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
