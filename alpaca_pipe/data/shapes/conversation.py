"""A conversation in one column: messages, conversations, dialog, contents ...; with a system text or tools beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.data.shapes.base import About, NotHeld, ShapeFit
from alpaca_pipe.data.shapes.layout import Column, Kind, Layout
from alpaca_pipe.data.shapes.turns import answer_of, conversation, turns_of
from alpaca_pipe.data.shapes.values import text_of, unpacked

name = "conversation"
_TURNS: tuple[Kind, ...] = ("objects", "texts", "lists", "json", "object")


def fit(layout: Layout) -> ShapeFit | None:
    """A list of turns; or a prompt and a completion that are both lists of them, as TRL writes; or `data`, a list of texts."""
    said: list[Column] = layout.all("messages", kinds=_TURNS)[:1]
    if not said:
        ask = layout.first("instruction", kinds=_TURNS[:1])
        answer = layout.first("output", kinds=("objects", "object", "text"))
        if ask and answer and not layout.all("messages"):
            said = [ask, answer]
        elif ask and not answer:
            said = [ask]
    if not said:
        said = [one for one in layout.columns if one.plain == "data" and one.kind in _TURNS[:3]]
    if not said:
        return None
    return ShapeFit.of(messages=said, system=layout.first("system"), tools=layout.first("tools"))


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example]:
    if (key := fit.key("tools")) and unpacked(row[key]):
        raise NotHeld(f"it offers tools ('{key}'), and a template of ours cannot say them")
    system = text_of(row[key], f"'{key}'", about, "\n\n") if (key := fit.key("system")) else ""
    first, *more = fit.keys("messages")
    said = turns_of(row[first], f"'{first}'", about)
    for key in more:
        said += answer_of(row[key], key, about)
    try:
        yield Example.of_messages(conversation(said, about), about.origin(), system)
    except ValueError as error:
        raise NotHeld(str(error)) from None
