"""Reads the instances of a task as Self-Instruct asks for them: `Example 1`, `Input:`, `Output:`; or `Class label:`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from alpaca_pipe.generate.parsing.reply import Draft, Piece, Unread, unread

_EXAMPLE = re.compile(
    r"^[ \t#*]*Example[ \t]+\d+[ \t]*[:：.]?[ \t*]*$", re.MULTILINE | re.IGNORECASE
)
_HEAD = re.compile(
    r"^[ \t*]*(?:\d{1,2}[.)][ \t*]*)?(Input|Output|Class label|Label)[ \t*]*[:：][ \t*]*",
    re.MULTILINE | re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"^[ \t*]*(?:\d{1,2}[.)][ \t*]*)?Output[ \t*]*[:：]", re.MULTILINE | re.IGNORECASE
)
_NO_INPUT = re.compile(r"<?(?:no input|noinput|none|n/a)>?\.?", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<name>[^\W\d_][\w '’()/-]{0,40})[ \t]*[:：]\s*\S"
)  # an input under a name of its own


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
    """The stretches between the `Example` lines; where there are none, each input after an output begins one, under
    whatever name the first one has."""
    marks = [mark.start() for mark in _EXAMPLE.finditer(text)]
    if not marks:
        heads = list(_HEAD.finditer(text))
        marks = [
            head.start()
            for head, before in zip(heads[1:], heads, strict=False)
            if (before[1].lower(), head[1].lower()) == ("output", "input")
        ]
    if not marks and (named := _NAMED.match(text.lstrip())) and not _HEAD.match(text.lstrip()):
        again = re.compile(rf"^{re.escape(named['name'])}[ \t]*[:：]", re.MULTILINE)
        marks = [
            mark.start() for mark in again.finditer(text) if _OUTPUT.search(text, 0, mark.start())
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
    found = (_labelled if labels else _answered)(_EXAMPLE.sub("", text, count=1), text)
    if found is None:
        told = (
            "a class label and at most one input" if labels else "at most one input and one output"
        )
        return unread(
            text.strip(), "no_instance", f"an instance has {told}, in this order, and nothing else"
        )
    given, output = found
    return replace(draft, input="" if _NO_INPUT.fullmatch(given) else given, output=output)


def _labelled(body: str, text: str) -> tuple[str, str] | None:
    """(input, label): the label is the rest of its line, and what stands below is the input, whatever it is called."""
    heads = list(_HEAD.finditer(body))
    if not heads or body[: heads[0].start()].strip() or "label" not in heads[0][1].lower():
        return None
    label, _, below = body[heads[0].end() :].lstrip().partition("\n")
    names = [head[1].lower() for head in heads[1:]]
    if names not in ([], ["input"]):
        return None
    if names and body[heads[0].end() : heads[1].start()].strip() != label.strip():
        return None
    return body[heads[1].end() :].strip() if names else below.strip(), label.strip()


def _answered(body: str, text: str) -> tuple[str, str] | None:
    """(input, output): without the head `Input:` what stands before the output is the input, where it has a name of its
    own (`List: [1, 2, 3]`) or an `Example` line above it."""
    heads = list(_HEAD.finditer(body))
    names = [head[1].lower() for head in heads]
    if names not in (["output"], ["input", "output"]):
        return None
    before, output = body[: heads[0].start()].strip(), body[heads[-1].end() :].strip()
    if names == ["input", "output"]:
        given = body[heads[0].end() : heads[1].start()].strip()
        return None if before else (given, output)
    if before and not (_NAMED.match(before) or body != text):
        return None
    return before, output
