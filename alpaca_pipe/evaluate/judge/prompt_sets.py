"""Prompts to be judged on, in the formats that the known sets are published in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass

_CURE = "each row has 'instruction' (and 'input'), 'prompt', 'question', 'turns', 'messages', or it is a line of text; see docs/evaluate.md"
_FIELDS = ("category", "dataset", "motivation_app", "kind")


@dataclass(frozen=True)
class JudgedPrompt:
    """turns: what the user says, one after the other. instruction, input: as the set has them, for those who read its own
    format again. answer: one that stands in the set, "" where none does."""

    id: str
    turns: tuple[str, ...]
    category: str = ""
    answer: str = ""
    instruction: str = ""
    dataset: str = ""


def read_prompts(path: Path, most: int) -> list[JudgedPrompt]:
    """The first so many prompts of a file, ids unique. UserError names the row that cannot be read."""
    found: list[JudgedPrompt] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(_rows(path), 1):
        if len(found) == most:
            break
        try:
            one = _prompt(row, number)
        except ValueError as error:
            raise UserError(
                f"evaluate.judge.prompts: {path.name}, row {number}: {error}", _CURE
            ) from None
        if first := seen.get(one.id):
            raise UserError(
                f"evaluate.judge.prompts: {path.name}, rows {first} and {number} have the same id {one.id!r}",
                "give each prompt an id of its own, or none",
            )
        seen[one.id] = number
        found.append(one)
    if not found:
        raise UserError(f"evaluate.judge.prompts: {path.name} holds no prompt", _CURE)
    return found


def _rows(path: Path) -> Iterator[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"evaluate.judge.prompts: {path.name} cannot be read: {error}",
            "name a file of UTF-8 text",
        ) from None
    if path.suffix == ".txt":
        yield from (line.strip() for line in text.splitlines() if line.strip())
        return
    if text.lstrip().startswith("["):
        whole = _json(text, path, 1)
        yield from whole if isinstance(whole, list) else [whole]
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _json(line, path, number)


def _json(text: str, path: Path, number: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"evaluate.judge.prompts: {path.name}, line {number} is not JSON: {error}", _CURE
        ) from None


def _prompt(row: Any, number: int) -> JudgedPrompt:
    """Raises ValueError, in a part of a sentence."""
    if isinstance(row, str):
        row = {"prompt": row}
    if not isinstance(row, Mapping):
        raise ValueError("it is neither an object nor a text")
    turns = _turns(row)
    if not turns or not all(turns):
        raise ValueError("it has no prompt")
    id = next((str(row[key]) for key in ("id", "question_id") if row.get(key) is not None), "")
    category = next((str(row[key]) for key in _FIELDS if row.get(key)), "")
    return JudgedPrompt(
        id or f"prompt-{number}",
        tuple(turns),
        category,
        _answer(row),
        str(row.get("instruction") or turns[0]),
        str(row.get("dataset") or ""),
    )


def _turns(row: Mapping[str, Any]) -> list[str]:
    if isinstance(turns := row.get("turns"), list):
        return [_text(turn) for turn in turns]
    if isinstance(messages := row.get("messages"), list):
        users = [one for one in messages if isinstance(one, Mapping) and one.get("role") == "user"]
        return [_text(one.get("content")) for one in users]
    for key in ("instruction", "prompt", "question", "text"):
        if row.get(key):
            below = _text(row.get("input") or _first(row).get("input") or "")
            return [f"{_text(row[key])}\n\n{below}" if below else _text(row[key])]
    return []


def _answer(row: Mapping[str, Any]) -> str:
    found = row.get("output") or row.get("answer") or _first(row).get("output") or ""
    return found.strip() if isinstance(found, str) else ""


def _first(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of Self-Instruct's instances the first."""
    instances = row.get("instances")
    first = instances[0] if isinstance(instances, Sequence) and instances else {}
    return first if isinstance(first, Mapping) else {}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a prompt is {json.dumps(value)[:40]}, which is not text")
    return value.strip()
