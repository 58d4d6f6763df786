"""The shapes that are known, and which of them a row has: the one that accounts for most of its text."""

from __future__ import annotations

from typing import cast

from alpaca_pipe.data.shapes import (
    annotated,
    conversation,
    exchange,
    logged_calls,
    nested,
    preference_pairs,
    segments,
    transcript,
    tree,
)
from alpaca_pipe.data.shapes.base import Shape, ShapeFit
from alpaca_pipe.data.shapes.layout import Layout

# Of two shapes that read as much of a row the earlier one is taken; a transcript is looked for where no other fits.
SHAPES: tuple[Shape, ...] = tuple(
    cast(Shape, module)
    for module in (
        segments,
        tree,
        annotated,
        preference_pairs,
        nested,
        logged_calls,
        exchange,
        conversation,
    )
)
LAST = cast(Shape, transcript)


def fits(layout: Layout) -> list[tuple[Shape, ShapeFit]]:
    """Each shape that could read such rows, with what it would read."""
    found = [(shape, fit) for shape in SHAPES if (fit := shape.fit(layout))]
    if not found and (fit := LAST.fit(layout)):
        return [(LAST, fit)]
    return found
