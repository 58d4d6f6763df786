"""Tool calls in a turn, as OpenAI writes them, whatever spelling they came in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from alpaca_pipe.data.shapes.base import NotARow

Call = Mapping[str, Any]


def calls_of(turn: Mapping[str, Any], called: str, where: str) -> tuple[Call, ...]:
    """What a turn calls: by `tool_calls`, by `function_call`, or (called: the name of its role) by its whole content."""
    found = turn.get("tool_calls") or turn.get("function_call")
    if not found and called:
        found = next((turn[key] for key in ("content", "value") if turn.get(key)), None)
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            raise NotARow(
                f"{where} calls a tool, and not in JSON", "write the call as JSON"
            ) from None
    if not found:
        return ()
    calls = found if isinstance(found, list) else [found]
    return tuple(_as_openai(call, where) for call in calls)


def _as_openai(call: Any, where: str) -> Call:
    inside = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(inside, dict) or not isinstance(inside.get("name"), str):
        raise NotARow(
            f"{where} calls a tool without a name", 'write {"name": ..., "arguments": ...}'
        )
    given = inside.get("arguments", inside.get("parameters", {}))
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    number = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
    return {
        **number,
        "type": "function",
        "function": {"name": inside["name"], "arguments": arguments},
    }
