"""The figures of the page: matplotlib SVG whose text stays text and whose colours are the page's own."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# colours that no figure needs, put in the place of the page's variables; they are exchanged in the SVG's text
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--quiet)",
    "#030303": "var(--line)",
    "#040404": "var(--tuned)",
    "#050505": "var(--control)",
    "#060606": "var(--base)",
}
INK, QUIET, LINE, TUNED, CONTROL, BASE = _VARIABLES
_WIDTH = 5.4  # inches: 389 units, which a phone shows at about their own size
_TEXT, _SMALL = 9, 8  # points


class Point(NamedTuple):
    """A measured loss, nats per token, with its 95 % interval."""

    mean: float
    lo: float
    hi: float


Curves = Mapping[str, Sequence[tuple[float, float]]]


def loss_curves(
    curves: Curves,
    held_out: Curves | None = None,
    title: str = "training loss, nats per token",
) -> str:
    """Training loss, or what the title says, by step for each model; a line is named where it ends. held_out: losses on the
    way, as dots in the colour of their line. "" where nothing was drawn."""
    drawn = {name: points for name, points in curves.items() if points}
    if not drawn:
        return ""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _canvas(2.5)
    colours = {
        "tuned": TUNED,
        "control": CONTROL,
        "sft": CONTROL,
        "aligned": TUNED,
        "shuffled": CONTROL,
    }
    last = max(points[-1][0] for points in drawn.values())
    ends = _apart([points[-1][1] for points in drawn.values()], 0.09 * _span(drawn))
    for (name, points), end in zip(drawn.items(), ends, strict=True):
        steps, losses = zip(*points, strict=True)
        colour = colours.get(name, BASE)
        axes.plot(
            steps,
            losses,
            color=colour,
            linewidth=1.6,
            marker="o" if len(points) == 1 else None,
            markersize=3,
            linestyle="-" if name in ("tuned", "aligned") else (0, (4, 2)),
        )
        axes.annotate(
            _NAMES.get(name, name),
            (last, end),
            xytext=(5, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=_TEXT,
            annotation_clip=False,
        )
    for name, points in (held_out or {}).items():
        steps, losses = zip(*points, strict=True)
        axes.plot(steps, losses, "o:", color=colours.get(name, BASE), linewidth=0.8, markersize=3.5)
    axes.set_xlabel("step", color=QUIET, fontsize=_SMALL)
    axes.set_title(title, loc="left", color=QUIET, fontsize=_SMALL)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(right=last)
    figure.subplots_adjust(left=0.08, right=0.8, top=0.9, bottom=0.17)
    return svg_of(figure, title)


def operation_curves(curves: Curves, target: float) -> str:
    """Held-out loss by operations for each method, the first in the colour of what is tuned, the drawn one in the control's; a thin
    line at the loss that they are compared at. "" where nothing was drawn."""
    shown = {name: points for name, points in curves.items() if points}
    if not shown:
        return ""
    figure, axes = _canvas(2.9)
    first = next(iter(shown))
    last = max(points[-1][0] for points in shown.values())
    top = max(
        points[0][1] for name, points in shown.items() if name != "scratch" or len(shown) == 1
    )
    low = min(loss for points in shown.values() for _, loss in points)
    top = max(top, target + 0.3 * (target - low) + 0.05)
    ends = _apart([points[-1][1] for points in shown.values()], 0.07 * (top - low or 1.0))
    for (name, points), end in zip(shown.items(), ends, strict=True):
        colour = TUNED if name == first else CONTROL if name == "scratch" else BASE
        operations, losses = zip(*points, strict=True)
        dashed = (0, (4, 2)) if name == "scratch" else "-"
        axes.plot(operations, losses, color=colour, linewidth=1.5, linestyle=dashed)
        axes.annotate(
            name,
            (last, end),
            xytext=(5, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=_TEXT,
            annotation_clip=False,
        )
    axes.axhline(target, color=QUIET, linewidth=0.6)
    axes.set_ylim(low - 0.03 * (top - low), top + 0.05 * (top - low))
    axes.set_xlim(0, last)
    axes.set_xlabel("operations", color=QUIET, fontsize=_SMALL)
    axes.set_title("held-out loss, nats per token", loc="left", color=QUIET, fontsize=_SMALL)
    figure.subplots_adjust(left=0.1, right=0.78, top=0.91, bottom=0.16)
    return svg_of(figure, "operations")


_NAMES = {"tuned": "tuned", "control": "shuffled", "sft": "plain SFT"}


def held_out_losses(points: Sequence[tuple[str, str, Point]], name: str = "held-out") -> str:
    """(label, role, loss) from top to bottom, each a dot with its interval; role: tuned, control or base. name: of the figure in
    its page, and of the loss."""
    if not points:
        return ""
    figure, axes = _canvas(0.62 + 0.33 * len(points))
    colours = {"tuned": TUNED, "control": CONTROL, "base": BASE}
    for place, (label, role, loss) in enumerate(points):
        colour = colours[role]
        axes.plot(
            (loss.lo, loss.hi), (place, place), color=colour, linewidth=1.4, solid_capstyle="round"
        )
        axes.plot((loss.mean,), (place,), "o", color=colour, markersize=5)
        axes.annotate(
            f"{loss.mean:.3f}",
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=_TEXT,
            annotation_clip=False,
        )
        axes.annotate(
            label,
            (0, place),
            xycoords=("axes fraction", "data"),
            xytext=(-8, 0),
            ha="right",
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=_TEXT,
            annotation_clip=False,
        )
    axes.set_ylim(len(points) - 0.4, -0.6)
    axes.set_yticks([])
    axes.margins(x=0.06)
    axes.set_xlabel(
        "loss on rows of others, nats per token, with 95 % interval"
        if name == "foreign"
        else "held-out loss, nats per token, with 95 % interval",
        color=QUIET,
        fontsize=_SMALL,
    )
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.36, right=0.88, top=1 - 0.05 / height, bottom=0.47 / height)
    return svg_of(figure, name)


def columns(bars: Sequence[tuple[str, int]], title: str) -> str:
    """(name, count) from left to right, each a column with its count above it. "" where all are 0."""
    if not any(count for _, count in bars):
        return ""
    figure, axes = _canvas(1.9)
    axes.grid(visible=False)
    axes.bar(range(len(bars)), [count for _, count in bars], color=TUNED, width=0.72)
    for place, (_, count) in enumerate(bars):
        axes.annotate(
            f"{count:,}",
            (place, count),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            color=INK,
            fontsize=7,
        )
    axes.set_xticks(range(len(bars)), [name for name, _ in bars])
    axes.set_yticks([])
    axes.set_title(title, loc="left", color=QUIET, fontsize=_SMALL, pad=14)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.8, bottom=0.14)
    return svg_of(figure, title)


def _span(curves: Curves) -> float:
    losses = [loss for points in curves.values() for _, loss in points]
    return max(losses) - min(losses) or 1.0


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """The same heights, moved until no two labels lie over each other."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    moved = list(heights)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + least)
    return moved


def _canvas(height: float) -> tuple[Figure, Axes]:
    """Without pyplot, which would keep figures and look for a display."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=QUIET, labelsize=_SMALL, length=0, pad=5)
    axes.grid(axis="both" if height > 2.4 else "x", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    return figure, axes


def svg_of(figure: Figure, name: str) -> str:
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(
            text,
            format="svg",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    for unwanted in (
        r"<style.*?</style>",
        r"<metadata>.*?</metadata>",
        r"font-family: [^;\"]*; ",
        r' id="[a-zA-Z0-9.]+_\d+"',
        r' transform="rotate\(-0 [^"]*"',
    ):
        svg = re.sub(unwanted, "", svg, flags=re.DOTALL)
    return re.sub("|".join(_VARIABLES), lambda found: _VARIABLES[found.group()], svg)
