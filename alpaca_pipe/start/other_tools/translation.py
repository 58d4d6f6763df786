"""A foreign config, key by key: carried over, not needed here, different here, or not known. Nothing is passed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from alpaca_pipe.core.errors import UserError

Fate = Literal["carried", "needless", "different", "unknown"]
Said = tuple[Fate, str]


@dataclass
class Translated:
    """A recipe that is being written from a config. recipe: table -> key -> value, as in a recipe's file."""

    config: Mapping[str, Any]
    recipe: dict[str, dict[str, Any]] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    share: float | None = None  # of the rows, to be held out

    def put(self, key: str, value: Any) -> Said:
        """key: `table.key`, or `table.inner.key`."""
        table, *inner, name = key.split(".")
        place = self.recipe.setdefault(table, {})
        for one in inner:
            place = place.setdefault(one, {})
        place[name] = value
        return "carried", f"{key}: {value}"

    def of(self, fate: Fate) -> dict[str, str]:
        return {key: words for key, (one, words) in self.said.items() if one == fate}


Rule = Callable[[Translated, Any], Said]


def to(key: str, read: Callable[[Any], Any] = lambda value: value) -> Rule:
    """The key is called so here; read: its value, in our words."""
    return lambda draft, value: draft.put(key, read(value))


def flag(key: str) -> Rule:
    """A switch that is off here unless it is said."""

    def rule(draft: Translated, value: Any) -> Said:
        return draft.put(key, True) if value else ("needless", "off, as it is here")

    return rule


def needless(why: str) -> Rule:
    return lambda draft, value: ("needless", why)


def different(why: str) -> Rule:
    """There is no such thing here: what comes out differs, if it is on."""

    def rule(draft: Translated, value: Any) -> Said:
        off = value is False or value == 0 or value in ("", "no", "none") or value == []
        return ("needless", "off") if off else ("different", why)

    return rule


def by_name(key: str, names: Mapping[str, str], otherwise: str) -> Rule:
    """A value that has another name here. otherwise: what is done where it has none."""

    def rule(draft: Translated, value: Any) -> Said:
        name = names.get(str(value))
        return draft.put(key, name) if name else ("different", f"{value}: {otherwise}")

    return rule


def translated(
    config: Mapping[str, Any], rules: Mapping[str, Rule], begun: Translated
) -> Translated:
    """Each key of the config by its rule; an empty one says nothing to either program. begun: what stands before them all.

    Raises UserError where a value is not of the kind that its key takes.
    """
    draft = Translated(config, begun.recipe)
    for key, value in config.items():
        rule = rules.get(key)
        if rule is None:
            draft.said[key] = ("unknown", "alpaca-pipe does not know this key")
        elif value is None or value == {}:
            draft.said[key] = ("needless", "empty")
        else:
            try:
                draft.said[key] = rule(draft, value)
            except (TypeError, ValueError, AttributeError, IndexError, OverflowError):
                raise UserError(
                    f"{key}: '{value}' is not what this key takes",
                    "fix it in that config, or remove it",
                ) from None
    return draft
