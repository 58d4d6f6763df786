"""What curate's judge said of the rows, and how varied those are that were kept: sentences and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.report import figures

if TYPE_CHECKING:
    from markupsafe import Markup

_NAMED = 0.012  # share of the wheel from which an object is written in it


@dataclass(frozen=True)
class DrawnFigure:
    label: str
    svg: Markup


@dataclass(frozen=True)
class Chapter:
    name: str
    title: str
    sentences: tuple[str, ...]
    figures: tuple[DrawnFigure, ...]


def judged(grades: Mapping[str, Any], saved_minutes: float | None) -> Chapter | None:
    """The distribution of the grades, and what the rows that went save in training; None where nobody graded."""
    if not grades or not grades.get("histogram"):
        return None
    unread = (
        f"; {grades['ungraded']:,} grades could not be read, and those rows stayed"
        if grades["ungraded"]
        else ""
    )
    first = (
        f"{grades['graded']:,} rows were graded for {grades['dimension']}, {grades['mean']:.2f} of {grades['scale']} on average; "
        f"{grades['below']:,} went on their grade{unread}."
    )
    said = [first]
    if grades["tokens_below"]:
        spared = (
            f", about {saved_minutes:.1f} minutes at the pace of the training stage, its loading included"
            if saved_minutes is not None
            else ""
        )
        said.append(
            f"That saves {grades['tokens_below']:,} of about {grades['tokens']:,} tokens in each epoch{spared}."
        )
    bars = [(name, count) for name, count in grades["histogram"].items()]
    return Chapter(
        "judge",
        "What the judge said",
        tuple(said),
        (
            _drawn(
                f"Rows by grade, 0 to {grades['scale']}",
                figures.columns(
                    bars, f"rows by grade for {grades['dimension']}, 0 to {grades['scale']}"
                ),
            ),
        ),
    )


def varied(found: Mapping[str, Any]) -> Chapter | None:
    """What the kept rows ask for, how long they are and how near the nearest is; None where it was not measured."""
    if not found or not found.get("rows"):
        return None
    near = found["nearest"]
    first = (
        f"{found['with_verb']:,} of {found['rows']:,} kept instructions say with a verb what they want: {found['verbs']:,} verbs, "
        f"{found['pairs']:,} pairs of verb and object. Verb and object are read by a list and by position, not by a parser."
    )
    said = [first]
    if near["median"] is not None:
        said.append(
            f"Half of {near['sample']:,} instructions drawn at random have a ROUGE-L of {near['median']:.2f} or less to the nearest "
            f"of {near['among']:,}."
        )
    drawn = (
        [_drawn("Commonest verbs and their objects", wheel(found["shown"]))]
        if found["shown"]
        else []
    )
    for name, counts in found["lengths"].items():
        if sum(counts.values()) > counts.get("0", 0):
            drawn.append(
                _drawn(
                    f"Rows by words of the {name}",
                    figures.columns(_spans(counts), f"rows by words of the {name}"),
                )
            )
    tenths = [(f"0.{tenth}", count) for tenth, count in enumerate(near["tenths"])]
    if near["sample"]:
        drawn.append(
            _drawn(
                "Rows by ROUGE-L to the nearest",
                figures.columns(tenths, "rows by ROUGE-L to the nearest other, from"),
            )
        )
    return Chapter("diversity", "What the rows ask for", tuple(said), tuple(drawn))


def _drawn(label: str, svg: str) -> DrawnFigure:
    from markupsafe import Markup

    return DrawnFigure(label, Markup(svg))


def _spans(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Each bin named by where it begins, the last one with a plus."""
    begins = [0, *(1 << power for power in range(11))]
    last = max(begins.index(int(begin)) for begin in counts)
    return [
        (f"{begin}+" if begin == begins[-1] else str(begin), counts.get(str(begin), 0))
        for begin in begins[: last + 1]
    ]


def wheel(shown: Sequence[Mapping[str, Any]]) -> str:
    """Verbs inside, their commonest objects outside, as in the figure of Self-Instruct: each as wide as its share of the
    rows that are drawn."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    verbs = [(one, sum(it["count"] for it in one["objects"])) for one in shown if one["objects"]]
    whole = sum(count for _, count in verbs)
    if not whole:
        return ""
    figure = Figure(figsize=(5.4, 5.4))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96), polar=True)
    axes.set_axis_off()
    axes.set_ylim(0, 1)
    axes.patch.set_visible(False)
    figure.patch.set_visible(False)
    at = 0.0
    for place, (one, count) in enumerate(verbs):
        wide = 2 * math.pi * count / whole
        _slice(axes, at, wide, (0.22, 0.55), 0.5 if place % 2 else 0.34, one["verb"], count / whole)
        inner = at
        for second, it in enumerate(one["objects"]):
            own = 2 * math.pi * it["count"] / whole
            _slice(
                axes,
                inner,
                own,
                (0.56, 0.99),
                (0.16, 0.26)[second % 2],
                it["object"],
                it["count"] / whole,
            )
            inner += own
        at += wide
    return figures.svg_of(figure, "wheel")


def _slice(
    axes: Any,
    at: float,
    wide: float,
    ring: tuple[float, float],
    strength: float,
    name: str,
    share: float,
) -> None:
    inside, outside = ring
    axes.bar(
        (at + wide / 2,),
        (outside - inside,),
        width=wide,
        bottom=inside,
        color=figures.TUNED,
        alpha=strength,
        linewidth=0.5,
        edgecolor=figures.LINE,
    )
    if share < _NAMED:
        return
    turn = math.degrees(at + wide / 2)
    axes.text(
        at + wide / 2,
        (inside + outside) / 2,
        name,
        rotation=turn + 180 if 90 < turn < 270 else turn,
        rotation_mode="anchor",
        ha="center",
        va="center",
        fontsize=7,
        color=figures.INK,
    )
