"""Reads a numbered list of tasks as Stanford's prompt asks for it: `4. Instruction:`, `4. Input:`, `4. Output:`, `###`.

As the reference reads it, latent bugs included, each of them a switch: what they lose or mangle in a reply depends on
chance, so a faithful copy of the data needs them and nobody else does.
"""

from __future__ import annotations

import re

from pydantic import Field

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Unread, fault_of, unread

_PART = "Instruction|Input|Output"
_NO_INPUT = "<noinput>"
_LINE_HEAD = lazy_regex(rf"^[ \t#]*(\d+)\.\s+({_PART}):", re.MULTILINE)
# The digits before are looked at first: else a reply of digits alone would be read from each of them anew, for hours.
_HEAD = lazy_regex(rf"(?<!\d)(\d+)\.\s+({_PART}):")


class Bugs(Table):
    """Of Stanford's code, each as it was; `false` mends it."""

    misnumbered: bool = Field(
        True, description="the requirements are numbered 1, 2, 3, 2, 3, 4, 5, 6, 7"
    )
    stop_at_20: bool = Field(
        True,
        description="the stop `20.` also cuts an answer that ends in 2020.; else only the "
        "header of task 20 stops",
    )
    hash_in_output: bool = Field(
        True,
        description="### within an answer ends its task, and all later ones get a wrong "
        "number and are lost; ## between two tasks merges them",
    )
    any_number: bool = Field(
        True,
        description="a header counts wherever it stands, in mid-line or as the end of another "
        "number (14. Input: within task 4)",
    )


def read_numbered(reply: Completion, first: int, bugs: Bugs) -> list[Piece]:
    """The tasks of a reply that goes on after an open `{first}. Instruction:`, in order, and what could not be read."""
    if fault := fault_of(reply, cut_is_read=True):
        return [fault]
    text = f"{first}. Instruction:{reply.text}"
    pieces = (
        _as_the_reference(text, first, reply.finish == "length", bugs)
        if bugs.hash_in_output
        else _by_headers(text, reply.finish == "length")
    )
    return pieces or [unread(reply.text, "no_task", "the reply holds no task")]


def _as_the_reference(text: str, first: int, cut: bool, bugs: Bugs) -> list[Piece]:
    """Split at `###`; piece i must carry its own number, and split into exactly seven parts."""
    parts = text.split("###")
    pieces: list[Piece] = []
    for place, part in enumerate(parts):
        if place == len(parts) - 1 and cut:
            pieces.append(
                unread(
                    part,
                    "cut_off",
                    "the reply was cut at its token limit, so its last piece is dropped",
                )
            )
        elif part.strip() or place < len(parts) - 1:
            pieces.append(_seven(part, first + place, bugs))
    return pieces


def _seven(part: str, number: int, bugs: Bugs) -> Draft | Unread:
    """What `re.split(rf"{number}\\.\\s+(Instruction|Input|Output):", part)` must make seven parts of."""
    own = str(number)
    heads = [
        found
        for found in _HEAD.finditer(part)
        if found[1].endswith(own)
        and (bugs.any_number or (found[1] == own and _begins_a_line(part, found.start())))
    ]
    if len(heads) != 3:
        return unread(
            part,
            "not_seven_parts",
            f"task {number} should have the headers Instruction, Input and Output once each, and has {len(heads)}",
        )
    ends = [*(head.end(1) - len(own) for head in heads[1:]), len(part)]
    return _draft(*(part[head.end() : end] for head, end in zip(heads, ends, strict=True)))


def _begins_a_line(text: str, at: int) -> bool:
    while at and text[at - 1].isspace() and text[at - 1] != "\n":
        at -= 1
    return not at or text[at - 1] == "\n"


def _by_headers(text: str, cut: bool) -> list[Piece]:
    """Task by task: where the next instruction's header stands at the beginning of a line, the one before it ends."""
    headers = list(_LINE_HEAD.finditer(text))
    firsts = [place for place, header in enumerate(headers) if header[2] == "Instruction"]
    pieces: list[Piece] = []
    for first, after in zip(firsts, [*firsts[1:], len(headers)], strict=True):
        own = headers[first:after]
        begin, end = own[0].start(), headers[after].start() if after < len(headers) else len(text)
        if end == len(text) and cut:
            pieces.append(
                unread(
                    text[begin:],
                    "cut_off",
                    "the reply was cut at its token limit, within this task",
                )
            )
        elif [header[2] for header in own] != ["Instruction", "Input", "Output"]:
            pieces.append(
                unread(
                    text[begin:end],
                    "not_seven_parts",
                    "the task should have the headers Instruction, Input "
                    f"and Output once each, in this order, and has {len(own)}",
                )
            )
        else:
            ends = [own[1].start(), own[2].start(), end]
            fields = [text[header.end() : stop] for header, stop in zip(own, ends, strict=True)]
            pieces.append(_draft(fields[0], fields[1], _without_break(fields[2])))
    return pieces


def _without_break(output: str) -> str:
    """Without the ### that stands before the next task."""
    text = output.rstrip()
    while text.endswith("##"):
        text = text.rstrip("#").rstrip()
    return text


def _draft(instruction: str, input_: str, output: str) -> Draft:
    input_ = input_.strip()
    return Draft(instruction.strip(), "" if input_.lower() == _NO_INPUT else input_, output.strip())


def until_stop(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """What a server that takes `stop` would have sent, and whether a stop stands in it: the text before the first."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)
