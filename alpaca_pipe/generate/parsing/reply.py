"""What the teacher said: drafts, and the pieces that could not be read, each with its reason. Nothing raises here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from alpaca_pipe.core.completion import Completion, Finish
from alpaca_pipe.core.example import Message
from alpaca_pipe.core.fast_dataclass import compact_dataclass
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.thinking import answer_of

_TASK_KEY = lazy_regex(r'"(?:instruction|output)"\s*:\s*"')
_DEEPEST = 3  # objects within objects: a list of tasks needs two; deeper ones are an answer's own


@compact_dataclass(frozen=True)
class Draft:
    """A task as it was read. output None: the answer is still to be asked for.  details: kept in the row's origin.
    turns: the whole conversation, of a style whose rows are some."""

    instruction: str
    input: str = ""
    output: str | None = None
    system: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    turns: tuple[Message, ...] = ()


@compact_dataclass(frozen=True)
class Unread:
    """A piece of a reply that is no task."""

    text: str
    rule: str
    reason: str


Piece = Draft | Unread


@compact_dataclass(frozen=True)
class Rejection:
    """Why a draft is dropped. nearest: what it resembles, as the pool knows it."""

    rule: str
    reason: str
    nearest: str = ""


def read_line(reply: Completion) -> Draft | Unread:
    """An instruction that was asked for alone: one line, whole."""
    text = reply.text.strip()
    if fault := fault_of(reply):
        return fault
    if "\n" in text:
        return unread(
            text, "several_lines", "one instruction was asked for, and the reply has several lines"
        )
    return Draft(text)


def read_answer(draft: Draft, reply: Completion) -> Draft | Unread:
    """The draft with the whole reply as its output."""
    return fault_of(reply) or replace(draft, output=reply.text.strip())


def read_tasks(reply: Completion, also: Sequence[str] = ()) -> list[Piece]:
    """The tasks of a JSON reply, in their order: as one object, a list, several objects, in a code fence or among prose.
    also: further keys of a task, kept as texts in its details.

    Whole objects are kept where the reply was cut or its frame is broken; nothing is read out of a string or repaired.
    """
    if reply.finish in ("content_filter", "refused", "failed") or not reply.text.strip():
        return [fault_of(reply) or _nothing(reply)]
    pieces = list(_pieces(reply.text, reply.finish, also))
    return pieces or [unread(reply.text, "not_json", "the reply holds no JSON object")]


def fault_of(reply: Completion, cut_is_read: bool = False) -> Unread | None:
    """What keeps a reply from being read at all. cut_is_read: what was cut at its limit is read as far as it goes."""
    match reply.finish:
        case "content_filter" | "refused":
            return unread(reply.text, reply.finish, "the teacher's provider declined the request")
        case "failed":
            return unread(reply.text, "failed", "the request failed at every try")
        case "length" if not cut_is_read:
            return unread(reply.text, "cut_off", "the reply was cut at its token limit")
    if not reply.text.strip():
        return _nothing(reply)
    if not _is_text(reply.text):
        return unread(reply.text, "not_unicode", "the reply holds half a character")
    return None


def _nothing(reply: Completion) -> Unread:
    if reply.thought:
        return unread(reply.text, "only_thoughts", "the reply holds its thinking and no answer")
    return unread(reply.text, "empty_reply", "the reply is empty")


def _pieces(text: str, finish: Finish, also: Sequence[str]) -> Iterator[Piece]:
    """What `_spans` found, and after it what stands between as a task that is in no object of its own."""
    at, gaps = 0, []
    for start, end, pieces in _spans(text, finish, also):
        gaps.append(text[at:start])
        at = end
        yield from pieces
    gaps.append(text[at:])
    for gap in gaps:
        if found := _TASK_KEY.search(gap):
            yield unread(
                gap[found.start() :].strip(),
                "not_json",
                "a task stands here in no object of its own",
            )


def _spans(
    text: str, finish: Finish, also: Sequence[str]
) -> Iterator[tuple[int, int, list[Piece]]]:
    """Reads each object as deep as it must: one that is broken is entered, and the whole ones within it are read. Answers
    where each stands, in their order."""
    at, found = 0, 0
    opened = list[tuple[int, int]]()  # broken objects around `at`, as (start, found before it)
    while at < len(text):
        character = text[at]
        if character == '"' and opened:
            at = _end_of_string(text, at)
            continue
        if character == "{":
            whole = _object(text, at) if len(opened) < _DEEPEST else None
            if whole:
                value, end = whole
                pieces = list(_tasks(value, text, also))
                found += len(pieces)
                yield at, end, pieces
                at = end
                continue
            opened.append((at, found))
        elif character == "}" and opened:
            start, before = opened.pop()
            if found == before:
                found += 1
                broken = unread(text[start : at + 1], "not_json", "this object is not valid JSON")
                yield start, at + 1, [broken]
        at += 1
    if opened and found == opened[-1][1]:
        rest = text[opened[-1][0] :]
        yield (
            opened[-1][0],
            len(text),
            [
                unread(rest, "cut_off", "the reply was cut at its token limit, within this task")
                if finish == "length"
                else unread(rest, "not_json", "the JSON ends in the middle")
            ],
        )


def _end_of_string(text: str, at: int) -> int:
    """The place after the string that begins at `at`."""
    at += 1
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at + 1


class _Twice(dict[str, Any]):
    """An object in which a key stands twice: two tasks that ran into each other."""


def _as_written(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs) if len({key for key, _ in pairs}) == len(pairs) else _Twice(pairs)


# Numbers stay as they were written; raw line ends within a string are let through.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_as_written, parse_float=str, parse_int=str, parse_constant=str, strict=False
)


def _object(text: str, at: int) -> tuple[dict[str, Any], int] | None:
    """The object that begins at `at` and the place after it."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


def _tasks(value: dict[str, Any], text: str, also: Sequence[str]) -> Iterator[Piece]:
    """The task that an object is, or the tasks in the lists that it holds."""
    if "instruction" in value:
        yield _task(value, also)
        return
    listed = [item for part in value.values() if isinstance(part, list) for item in part]
    for item in listed:
        yield (
            _task(item, also)
            if isinstance(item, dict)
            else unread(_shown(item), "no_instruction", "this is not an object")
        )
    if not listed:
        yield unread(_shown(value), "no_instruction", "the object holds no instruction")


def _task(value: dict[str, Any], also: Sequence[str]) -> Piece:
    if isinstance(value, _Twice):
        return unread(_shown(value), "merged", "a key stands twice: two tasks ran into each other")
    parts: list[str] = []
    for name in ("instruction", "input", "output"):
        part = value.get(name)
        if name == "input" and part is None:
            part = ""
        if part is None:
            return unread(_shown(value), f"no_{name}", f"the task has no {name}")
        if not isinstance(part, str):
            return unread(_shown(value), "not_text", f"the {name} is not a text")
        if not _is_text(part):
            return unread(_shown(value), "not_unicode", f"the {name} holds half a character")
        parts.append((answer_of(part) if name == "output" else part).strip())
    details = {
        name: str(value[name]).strip() for name in also if isinstance(value.get(name), str | bool)
    }
    return Draft(parts[0], parts[1], parts[2], details=details)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)


def _is_text(text: str) -> bool:
    if "\ufffd" in text:  # stands where a character was broken, on its way or by us
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unread(text: str, rule: str, reason: str) -> Unread:
    """A piece with its text as it can be written to a file."""
    return Unread(text.encode(errors="backslashreplace").decode(), rule, reason)
