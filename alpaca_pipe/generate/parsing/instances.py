"""Reads the instances of a task as Self-Instruct asks for them: `Example 1`, `Input:`, `Output:`; or `Class label:`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from alpaca_pipe.generate.parsing.reply import Draft, Piece, Unread, unread

_EXAMPLE = re.compile(r"^[ \t#*]*Example[ \t]+\d+[ \t]*[:.]?[ \t*]*$", re.MULTILINE | re.IGNORECASE)
_HEAD = re.compile(
    r"^[ \t*]*(Input|Output|Class label|Label)[ \t*]*:[ \t*]*", re.MULTILINE | re.IGNORECASE
)
_NO_INPUT = re.compile(r"<?(?:no input|noinput|none|n/a)>?\.?", re.IGNORECASE)


@dataclass(frozen=True)
class _Section:
    name: str
    text: str


def instances(draft: Draft, text: str, cut: bool, labels: bool, most: int) -> list[Piece]:
    """The draft with the input and output of each instance, at least one piece, at most `most` whole ones.

    labels: each begins with its class label, and the input follows; else the output comes last. cut: the last one is not
    whole. What stands before the first head, and an instance that lacks a part or has one twice, is unread.
    """
    pieces: list[Piece] = []
    found = list(_by_label(text) if labels else _by_example(text))
    for place, part in enumerate(found):
        if cut and place == len(found) - 1:
            pieces.append(
                unread(
                    part, "cut_off", "the reply was cut at its token limit, within this instance"
                )
            )
        elif sum(isinstance(piece, Draft) for piece in pieces) == most:
            pieces.append(
                unread(part, "too_many", f"{most} instances of an instruction are enough")
            )
        else:
            pieces.append(_instance(draft, part, labels))
    if not pieces:
        return [unread(text, "no_instance", "the reply holds no instance of the task")]
    return _whole(pieces, found)


def _whole(pieces: list[Piece], found: list[str]) -> list[Piece]:
    """Where something cannot be read, the instance before it may not have ended there either."""
    return [
        unread(
            part, "unsure_end", "what follows this instance cannot be read, and may belong to it"
        )
        if isinstance(piece, Draft) and isinstance(after, Unread) and after.rule == "no_instance"
        else piece
        for piece, after, part in zip(pieces, [*pieces[1:], None], found, strict=True)
    ]


def _by_example(text: str) -> Iterator[str]:
    """The stretches between the `Example` lines; where there are none, each input after an output begins one."""
    marks = [mark.start() for mark in _EXAMPLE.finditer(text)]
    if not marks:
        heads = list(_HEAD.finditer(text))
        marks = [
            head.start()
            for head, before in zip(heads[1:], heads, strict=False)
            if (before[1].lower(), head[1].lower()) == ("output", "input")
        ]
    yield from _stretches(text, marks)


def _by_label(text: str) -> Iterator[str]:
    yield from _stretches(
        text, [head.start() for head in _HEAD.finditer(text) if "label" in head[1].lower()]
    )


def _stretches(text: str, marks: list[int]) -> Iterator[str]:
    starts = [0, *(mark for mark in marks if mark > 0)]
    for begin, end in zip(starts, [*starts[1:], len(text)], strict=True):
        if text[begin:end].strip():
            yield text[begin:end]


def _instance(draft: Draft, text: str, labels: bool) -> Piece:
    body = _EXAMPLE.sub("", text, count=1)
    heads = list(_HEAD.finditer(body))
    before = body[: heads[0].start()] if heads else body
    ends = [*(head.start() for head in heads[1:]), len(body)] if heads else []
    parts = [
        _Section(head[1].lower(), body[head.end() : end].strip())
        for head, end in zip(heads, ends, strict=True)
    ]
    wanted = (
        (["class label"], ["class label", "input"], ["label"], ["label", "input"])
        if labels
        else (["output"], ["input", "output"])
    )
    if before.strip() or [part.name for part in parts] not in wanted:
        told = (
            "a class label and at most one input" if labels else "at most one input and one output"
        )
        return unread(
            text.strip(), "no_instance", f"an instance has {told}, in this order, and nothing else"
        )
    named = {part.name: part.text for part in parts}
    given = named.get("input", "")
    output = parts[0].text if labels else named["output"]
    return replace(draft, input="" if _NO_INPUT.fullmatch(given) else given, output=output)
