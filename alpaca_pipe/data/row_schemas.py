"""The shapes that a row of instruction data has in the wild, by rule: which keys mean what, first shape that fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.data.records import kind_of
from alpaca_pipe.data.source_kinds import ShapeName, Turns


@dataclass(frozen=True)
class RowSchema:
    """Which key of a row holds what. `turns`: the key of a conversation; then the others play no part but `system`."""

    name: ShapeName
    instruction: str = ""
    output: str = ""
    input: str = ""
    system: str = "system"
    turns: str = ""
    history: str = ""  # earlier exchanges, which a row of ours cannot hold

    @property
    def needed(self) -> tuple[str, ...]:
        return (self.turns,) if self.turns else (self.instruction, self.output)


# Order matters: a row with the keys of two shapes is read as the first. `input` and `system` may be missing.
SHAPES = (
    RowSchema(
        "alpaca", "instruction", "output", "input", history="history"
    ),  # Stanford; `history` as LLaMA-Factory writes it
    RowSchema("dolly", "instruction", "response", "context"),  # Databricks
    RowSchema("instruction-response", "instruction", "response", "input"),
    RowSchema("sharegpt", turns="conversations"),
    RowSchema("messages", turns="messages"),  # OpenAI
    RowSchema("prompt-completion", "prompt", "completion"),  # OpenAI before chat, TRL
    RowSchema("prompt-response", "prompt", "response"),
    RowSchema("question-answer", "question", "answer"),
    RowSchema("question-response", "question", "response", system="system_prompt"),  # OpenOrca
    RowSchema("query-response", "query", "response"),  # MetaMathQA
    RowSchema("problem-solution", "problem", "solution"),
    RowSchema("input-output", "input", "output"),
)
BY_NAME: Mapping[str, RowSchema] = {shape.name: shape for shape in SHAPES}
KEYS = frozenset(
    key
    for shape in SHAPES
    for key in (
        shape.instruction,
        shape.output,
        shape.input,
        shape.system,
        shape.turns,
        shape.history,
    )
    if key
)
assert tuple(BY_NAME) == get_args(ShapeName)

_ROLES = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "bot": "assistant",
}


class NotARow(Exception):
    """The value cannot be read as a row: (what is wrong, what to do)."""


class NotHeld(Exception):
    """The row is sound, and ours cannot hold it: the reason."""


def shape_of(value: Mapping[str, Any]) -> RowSchema | None:
    """The first shape whose needed keys are there and not null; else the first whose keys are there."""
    for shape in SHAPES:
        if all(value.get(key) is not None for key in shape.needed):
            return shape
    return next((shape for shape in SHAPES if all(key in value for key in shape.needed)), None)


def example_of(
    value: Any, shape: RowSchema, source: str, turns: Turns, forced: bool = False
) -> Example:
    """The row as an Example of origin `imported`. Raises NotARow, NotHeld. forced: the shape was named, not seen.

    turns: what becomes of a conversation of several exchanges: it is not held, or its first exchange is, and the origin
    says how many there were.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        raise NotARow(
            "the row is a text that holds JSON: it was encoded twice",
            "decode it once: jq -c fromjson FILE > FIXED",
        )
    if not isinstance(value, dict):
        raise NotARow(
            f"the row is {kind_of(value)}, not an object",
            'write {"instruction": ..., "input": ..., "output": ...}',
        )
    for key in shape.needed:
        if key not in value:
            raise NotARow(
                f"the row has no '{key}'",
                did_you_mean(key, map(str, value)) or "write it in quotes",
            )
    if not forced and (own := shape_of(value)) is not shape:
        name = own.name if own else "none"
        raise NotARow(
            f"the row has the keys of the shape {name}, other rows of the file those of {shape.name}",
            "keep one shape in a file",
        )
    if shape.turns:
        return _conversation(
            value[shape.turns], shape.turns, _text(value, shape.system), source, turns
        )
    if isinstance(value[shape.instruction], list) and isinstance(
        value[shape.output], list
    ):  # as TRL writes both
        whole = [*value[shape.instruction], *value[shape.output]]
        return _conversation(whole, shape.instruction, _text(value, shape.system), source, turns)
    texts = [
        _text(value, key) for key in (shape.instruction, shape.input, shape.output, shape.system)
    ]
    if shape.history and value.get(shape.history):
        raise NotHeld(
            f"it has a '{shape.history}' of earlier exchanges, and a row holds one exchange"
        )
    return Example.of(texts[0], texts[1], texts[2], Origin("imported", source), texts[3])


def _text(value: Mapping[str, Any], key: str, where: str = "") -> str:
    text = value.get(key, "") if key else ""
    if text is None and key in ("input", "context", "system", "system_prompt"):
        return ""
    if not isinstance(text, str):
        raise NotARow(
            f"{where}'{key}' is {kind_of(text)}, not a text", "put it in quotes, or remove the row"
        )
    return _whole(text, f"{where}'{key}'")


def _whole(text: str, where: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise NotARow(
                f"{where} holds half of a surrogate pair (\\ud800 ... \\udfff)",
                "write the whole character, or remove the row",
            ) from None
    return text


def _conversation(value: Any, key: str, system: str, source: str, turns: Turns) -> Example:
    """system?, then user and assistant in turn."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        raise NotARow(
            f"'{key}' is a text that holds JSON: it was encoded twice",
            "decode it once, with json.loads",
        )
    if not isinstance(value, list):
        raise NotARow(
            f"'{key}' is {kind_of(value)}, not a list of turns",
            'write [{"from": "human", "value": ...}, ...]',
        )
    said = [_turn(turn, f"turn {number} of '{key}'") for number, turn in enumerate(value, 1)]
    if said and said[0][0] == "system":
        own = said.pop(0)[1]
        if system and own and own != system:
            raise NotHeld("it has two system texts")
        system = own or system
    roles = [role for role, _ in said]
    if roles[:2] != ["user", "assistant"]:
        raise NotHeld(f"the conversation is {_spelled(roles)}, not a question and its answer")
    if len(roles) > 2 and (turns == "refuse" or not _in_turn(roles)):
        raise NotHeld(f"the conversation goes on ({_spelled(roles)}), and a row holds one exchange")
    details = {"exchanges": len(roles) // 2} if len(roles) > 2 else {}
    return Example.of(
        said[0][1], "", said[1][1], Origin("imported", source, details=details), system
    )


def _in_turn(roles: Sequence[str]) -> bool:
    return all(role == ("user", "assistant")[place % 2] for place, role in enumerate(roles))


def _spelled(roles: Sequence[str]) -> str:
    shown = ", ".join(roles[:4]) or "empty"
    return f"{shown} ... {len(roles)} turns" if len(roles) > 4 else shown


def _turn(turn: Any, where: str) -> tuple[str, str]:
    """(role, text) of one turn, in ShareGPT's spelling or OpenAI's."""
    if not isinstance(turn, dict):
        raise NotARow(
            f"{where} is {kind_of(turn)}, not an object", 'write {"from": "human", "value": ...}'
        )
    spelled = turn.get("role") if turn.get("role") is not None else turn.get("from")
    if not isinstance(spelled, str):
        raise NotARow(
            f"{where} has no 'role' and no 'from'", "say who speaks: user, assistant or system"
        )
    role = _ROLES.get(spelled.strip().lower())
    if role is None:
        raise NotHeld(
            f"{where} is of '{spelled}', and a row holds a system text, an instruction and its answer"
        )
    if any(turn.get(key) for key in ("tool_calls", "function_call")):
        raise NotHeld(f"{where} calls a tool")
    key = next((key for key in ("content", "value") if turn.get(key) is not None), None)
    if key is None:
        raise NotARow(
            f"{where} has no 'content' and no 'value'", "say what was said, or remove the row"
        )
    content = turn[key]
    if isinstance(content, list):  # OpenAI's parts
        if other := next(
            (part for part in content if not isinstance(part, dict) or part.get("type") != "text"),
            None,
        ):
            kind = other.get("type") if isinstance(other, dict) else kind_of(other)
            raise NotHeld(f"{where} holds a part of type '{kind}', which is no text")
        return role, "".join(_text(part, "text", f"{where}: ") for part in content)
    return role, _text({key: content}, key, f"{where}: ")
