"""A reply that came in pieces (server-sent events) although none were asked for: some gateways stream whatever they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.outside_numbers import exact_json

_BEGINS = (b"data:", b"event:", b"id:", b": ", b":\n", b"retry:")


def is_stream(content: bytes, content_type: str) -> bool:
    return "text/event-stream" in content_type or content.lstrip()[:6].startswith(_BEGINS)


def whole_reply(content: bytes) -> dict[str, Any] | None:
    """The pieces as one reply, or the error that stands among them; None where they are no reply, or break off."""
    reply: dict[str, Any] = {}
    text, refusal, finish, ended, chat = "", "", None, False, False
    for said in _events(content):
        if said is None:
            ended = True
            continue
        if said.get("error"):
            return said
        reply |= {
            name: value for name, value in said.items() if value is not None and name != "choices"
        }
        choices = said.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            continue
        part = choice.get("delta") or choice.get("message")
        chat = chat or isinstance(part, Mapping)
        piece = part if isinstance(part, Mapping) else {"content": choice.get("text")}
        text += _text(piece.get("content"))
        refusal += _text(piece.get("refusal"))
        finish = choice.get("finish_reason") or finish
    if not reply or not (ended or finish):
        return None
    message = {"role": "assistant", "content": text, "refusal": refusal or None}
    said_how = {"index": 0, "finish_reason": finish}
    return reply | {"choices": [said_how | ({"message": message} if chat else {"text": text})]}


def _events(content: bytes) -> Iterator[dict[str, Any] | None]:
    """The JSON of each event; None for the one that says that it is done."""
    for block in content.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line[5:].lstrip() for line in block.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(lines).strip()
        if data == b"[DONE]":
            yield None
        elif data:
            try:
                said = exact_json(data)
            except (ValueError, RecursionError):
                continue
            if isinstance(said, dict):
                yield said


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
