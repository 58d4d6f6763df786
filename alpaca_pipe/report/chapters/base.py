"""What a chapter of the report is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alpaca_pipe.ledger.money import shown
from alpaca_pipe.report.facts import Facts

if TYPE_CHECKING:
    from markupsafe import Markup

_HEADERS, _HOOKS, _HIDDEN = "headers", "on", "..."

Told = Mapping[str, Any]


@dataclass(frozen=True)
class ReportChapter:
    """name: its place in the page, `#name`. order: among all chapters. told: what its template is given, None where there is
    nothing to say. template: beside this file; the usual one takes a title, sentences and figures."""

    name: str
    order: int
    told: Callable[[Facts], Told | None]
    template: str = "figures.html.j2"


@dataclass(frozen=True)
class DrawnFigure:
    label: str
    svg: Markup


def drawn(label: str, svg: str) -> DrawnFigure:
    """An SVG of our own making, which goes into the page as it is."""
    from markupsafe import Markup

    return DrawnFigure(label, Markup(svg))


def with_figures(title: str, sentences: Sequence[str], figures: Sequence[DrawnFigure]) -> Told:
    """What the usual template takes."""
    return {"title": title, "sentences": tuple(sentences), "figures": tuple(figures)}


def dollars(amount: int) -> str:
    """Of nano-dollars."""
    return shown(amount) if amount else "$0"


def names_only(value: Any) -> Any:
    """A config without places on this machine: the page is for others."""
    if isinstance(value, Mapping):
        return {name: _shown(name, inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [names_only(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and _is_place(value) else value


def override_shown(override: str) -> str:
    """`key=value` of a command line, as `names_only`; its value is read as the recipe reads it."""
    from alpaca_pipe.recipe.located_yaml import read_value

    name, sign, text = override.partition("=")
    *tables, key = name.strip().split(".")
    value = read_value(text, override)
    if _HEADERS in tables:
        shown = _HIDDEN
    else:
        shown = _told_of(value) if _HOOKS in tables else _shown(key, value)
    if shown == value:
        return override
    return (
        f"{name}{sign}{shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)}"
    )


def _shown(name: Any, value: Any) -> Any:
    """Headers of a request may hold a key, whatever they are called; a hook's address or command often is one."""
    if name == _HEADERS and isinstance(value, Mapping):
        return dict.fromkeys(value, _HIDDEN)
    if name == _HOOKS and isinstance(value, Mapping):
        return {event: _told_of(hooks) for event, hooks in value.items()}
    return names_only(value)


def _told_of(hooks: Any) -> Any:
    """Of who is told of an event, the hosts; the rest is hidden."""
    from alpaca_pipe.recipe.hooks import is_address

    if isinstance(hooks, list | tuple):
        return [_told_of(hook) for hook in hooks]
    if isinstance(hooks, str) and is_address(hooks):
        return urlsplit(hooks).hostname or _HIDDEN
    return _HIDDEN


def _is_place(text: str) -> bool:
    path = Path(text)
    return path.is_absolute() or text.startswith("~") or ".." in path.parts
