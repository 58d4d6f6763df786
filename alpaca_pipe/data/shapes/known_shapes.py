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

# Of two shapes that read as much of a row the earlier one is taken.
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
        transcript,
    )
)


def fits(layout: Layout) -> list[tuple[Shape, ShapeFit]]:
    """Each shape that could read such rows, with what it would read."""
    found = ((shape, shape.fit(layout)) for shape in SHAPES)
    return [(shape, fit) for shape, fit in found if fit]
