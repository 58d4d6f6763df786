"""What a chapter of the report is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.ledger.money import shown
from alpaca_pipe.report.facts import Facts

if TYPE_CHECKING:
    from markupsafe import Markup

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
        return {name: names_only(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [names_only(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
