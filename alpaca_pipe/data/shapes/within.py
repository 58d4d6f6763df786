"""A row that stands inside another one, or is put together of its parts: read by the shape that it has itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.shapes import conversation, exchange, preference_pairs
from alpaca_pipe.data.shapes.base import About, NotARow
from alpaca_pipe.data.shapes.layout import Layout, signature_of


def rows_within(row: Mapping[str, Any], about: About) -> Iterator[Example | Preference]:
    """The rows of ours; what is left unread is told. Raises NotARow, NotHeld, NotWanted."""
    layout = Layout.of(signature_of(row))
    for shape in (preference_pairs, exchange, conversation):
        if found := shape.fit(layout):
            for column in layout.unread(found.read):
                if column.meaning != "meta" and column.meaning != "status":
                    about.say(f"'{column.key}' is left unread")
            yield from shape.rows(row, found, about)
            return
    raise NotARow(
        f"no question and answer is among its fields: {', '.join(row)}",
        "rename them: prompt for what was asked, response for what was answered",
    )
