"""Axolotl's `input_output`: a text in pieces with a mask each, rendered already. It is told, and not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.data.shapes.base import About, NotARow, ShapeFit
from alpaca_pipe.data.shapes.layout import Layout

name = "segments"


def fit(layout: Layout) -> ShapeFit | None:
    found = next((one for one in layout.columns if one.plain == "segments"), None)
    return ShapeFit.of(segments=found) if found and found.kind == "objects" else None


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example]:
    raise NotARow(
        f"'{fit.key('segments')}' holds a rendered text in pieces with a mask of their own (axolotl's input_output)",
        'write the turns: {"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]}',
    )
    yield  # a generator, as every reader is one
