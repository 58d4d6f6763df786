"""The text that a value of a row is: numbers, dates and parts are texts too; what is none is told."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from alpaca_pipe.data.records import kind_of as in_words
from alpaca_pipe.data.shapes.base import About, NotARow, NotHeld

_TEXT_KEYS = ("text", "content", "value", "full_text", "string")
_SPEAKERS = ("role", "from", "author", "sender", "speaker", "type")
_HELD_IN = (*_TEXT_KEYS, "parts")
_SWITCHED = frozenset(
    [
        "on",
        "off",
        "true",
        "false",
        "yes",
        "no",
        "none",
        "auto",
        "enabled",
        "disabled",
        "minimal",
        "low",
        "medium",
        "high",
        "xhigh",
        "max",
    ]
)


def text_of(value: Any, where: str, about: About, join: str = "") -> str:
    """The text under a key. join: what stands between several texts; "" takes the first, and says so.

    Raises NotARow for what is no text, NotHeld for a picture, a sound or a film.
    """
    if isinstance(value, str):
        return whole(value, where)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        raise NotARow(f"{where} is a number that is too large", "put it in quotes")
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, date):
        return date_text(value)
    if isinstance(value, list):
        return _of_list(value, where, about, join)
    if isinstance(value, dict):
        found = [value[key] for key in _HELD_IN if value.get(key) is not None]
        if len(found) == 1:
            return text_of(found[0], where, about, join)
    raise NotARow(
        f"{where} is {in_words(value)}, not a text", "put it in quotes, or remove the row"
    )


def _of_list(value: list[Any], where: str, about: About, join: str) -> str:
    if any(isinstance(one, dict) and ("type" in one or "text" in one) for one in value):
        named = any(isinstance(one, dict) and len(one) > 1 and "type" not in one for one in value)
        if not (join and named):
            return "".join(part_text(part, where, about) for part in value)
    if join and all(isinstance(one, dict) for one in value):
        return join.join("\n".join(flat_texts(one)) for one in value)
    texts = [text_of(one, where, about, join) for one in value if one is not None]
    filled = list(dict.fromkeys(text for text in texts if text.strip()))
    if join:
        return join.join(filled)
    if len(filled) > 1:
        about.say("of several answers the first is read")
    return filled[0] if filled else ""


def part_text(part: Any, where: str, about: About) -> str:
    """One part of a content in parts: {"type": "text", "text": ...}, {"text": ...}, {"type": "text", "value": ...}."""
    if isinstance(part, str):
        return whole(part, where)
    if not isinstance(part, dict):
        raise NotARow(f"{where} holds {in_words(part)} among its parts", "write each part as text")
    kind = part.get("type")
    text = next((part[key] for key in _TEXT_KEYS if isinstance(part.get(key), str)), None)
    if text is None or kind not in (None, "text", "input_text", "output_text"):
        named = kind if isinstance(kind, str) else next(iter(part), "nothing")
        raise NotHeld(f"{where} holds a part of type '{named}', which is no text")
    return whole(text, where)


def date_text(value: date) -> str:
    """As ISO 8601; midnight without a zone is what a reader of dates makes of a plain day."""
    if isinstance(value, datetime):
        plain = value.tzinfo is None and not (value.hour or value.minute or value.second)
        return value.date().isoformat() if plain and not value.microsecond else value.isoformat()
    return value.isoformat()


def whole(text: str, where: str) -> str:
    """The text, where it is characters throughout. Raises NotARow for half of a surrogate pair."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise NotARow(
                f"{where} holds half of a surrogate pair (\\ud800 ... \\udfff)",
                "write the whole character, or remove the row",
            ) from None
    return text


def is_switch(value: Any) -> bool:
    """Whether a value under `reasoning` or `thinking` says how a model was called, and not what it thought."""
    return isinstance(value, bool) or (
        isinstance(value, str) and value.strip().lower() in _SWITCHED
    )


def unpacked(value: Any) -> Any:
    """A list or an object that stands in a text, as CSV and twice encoded files have them; else the value itself."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        found = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value
    return found if isinstance(found, list | dict) else value


def answer_in(value: Any) -> Any:
    """What a column of answers holds: turns or texts that stand in a text are unpacked; a list of anything else, `[2, 4]`, is what
    was answered."""
    found = unpacked(value)
    if isinstance(value, str) and isinstance(found, list):
        return found if found and all(isinstance(one, str | dict) for one in found) else value
    return found


def flat_texts(value: Any) -> list[str]:
    """Every text that stands anywhere in a value, but for who says it."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list):
        return [text for one in value for text in flat_texts(one)]
    if isinstance(value, Mapping):
        return [
            text for key, one in value.items() if key not in _SPEAKERS for text in flat_texts(one)
        ]
    return []
