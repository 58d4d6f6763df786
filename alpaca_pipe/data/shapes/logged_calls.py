"""Calls of a chat API as a log holds them: the request with its messages, and what came back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import Example, Message
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.shapes.base import About, NotHeld, NotWanted, ShapeFit
from alpaca_pipe.data.shapes.keys import name_of
from alpaca_pipe.data.shapes.layout import Layout
from alpaca_pipe.data.shapes.turns import conversation, turns_of
from alpaca_pipe.data.shapes.values import text_of, unpacked
from alpaca_pipe.data.shapes.verdicts import NOT_LEARNED, check_whole
from alpaca_pipe.data.shapes.within import rows_within

name = "logged call"
_REQUESTS = (
    "generic_request",
    "request",
    "raw_request",
    "request_body",
    "model_input",
    "inputs",
    "input",
    "prompt",
)
_RESPONSES = (
    "response_message",
    "response",
    "generic_response",
    "raw_response",
    "response_body",
    "model_output",
    "outputs",
    "output",
    "completion",
)


_TURNS = ("messages", "contents")
_MESSAGES = ("message", "content")


def fit(layout: Layout) -> ShapeFit | None:
    by_name = {one.plain: one for one in layout.columns}
    asked = [by_name[one] for one in _REQUESTS if one in by_name and by_name[one].kind == "object"]
    said = [
        by_name[one]
        for one in _RESPONSES
        if one in by_name and by_name[one].kind in ("object", "text", "json")
    ]
    return ShapeFit.of(request=asked[0], response=said[0]) if asked and said else None


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example | Preference]:
    request, key = row[fit.key("request")], fit.key("request")
    body = request.get("body") if isinstance(request.get("body"), dict) else request
    turns = next((body[one] for one in _TURNS if isinstance(body.get(one), list)), None)
    if turns is None:
        yield from rows_within({**body, **_named(row[fit.key("response")])}, about)
        return
    if body.get("tools"):
        raise NotHeld(f"it offers tools ('{key}'), and a template of ours cannot say them")
    system = next((body[one] for one in body if name_of(one).meaning == "system"), "")
    said = turns_of(turns, f"'{key}'", about)
    said.append(_answer(unpacked(row[fit.key("response")]), fit.key("response"), about))
    try:
        text = text_of(system, f"'{key}'", about, "\n\n")
        yield Example.of_messages(conversation(said, about), about.origin(), text)
    except ValueError as error:
        raise NotHeld(str(error)) from None


def _named(response: Any) -> Mapping[str, Any]:
    """What came back by name, as LangSmith has it: {"answer": ...}."""
    value = unpacked(response)
    return value if isinstance(value, dict) else {"output": value}


def _answer(value: Any, key: str, about: About) -> Message:
    """A text, a message, or a whole response of the API."""
    if isinstance(value, dict) and isinstance(value.get("body"), dict):
        value = value["body"]
    if isinstance(value, dict) and value.get("error"):
        raise NotWanted(NOT_LEARNED, f"'{key}' is an error")
    if isinstance(value, dict):
        choices = value.get("choices") or value.get("candidates")
        if isinstance(choices, list) and choices:
            if len(choices) > 1:
                about.say("of several answers the first is read")
            value = choices[0]
    if isinstance(value, dict):
        check_whole(value, about)
        inner = next((value[one] for one in _MESSAGES if isinstance(value.get(one), dict)), value)
        value = inner
    if isinstance(value, dict) and "role" in value:
        return turns_of([value], f"'{key}'", about)[0]
    return Message("assistant", text_of(value, f"'{key}'", about))
