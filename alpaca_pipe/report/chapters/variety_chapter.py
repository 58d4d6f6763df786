"""How varied the rows are that were kept: verbs and objects, lengths, nearest rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from alpaca_pipe.report import figures
from alpaca_pipe.report.chapters.base import ReportChapter, Told, drawn, with_figures

_NAMED = 0.012  # share of the wheel from which an object is written in it


def varied(found: Mapping[str, Any]) -> Told | None:
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
    pictures = (
        [drawn("Commonest verbs and their objects", wheel(found["shown"]))]
        if found["shown"]
        else []
    )
    for name, counts in found["lengths"].items():
        if sum(counts.values()) > counts.get("0", 0):
            pictures.append(
                drawn(
                    f"Rows by words of the {name}",
                    figures.columns(_spans(counts), f"rows by words of the {name}"),
                )
            )
    tenths = [(f"0.{tenth}", count) for tenth, count in enumerate(near["tenths"])]
    if near["sample"]:
        pictures.append(
            drawn(
                "Rows by ROUGE-L to the nearest",
                figures.columns(tenths, "rows by ROUGE-L to the nearest other, from"),
            )
        )
    return with_figures("What the rows ask for", said, pictures)


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


VARIETY = ReportChapter("diversity", 50, lambda facts: varied(facts.diversity))
