"""What a shape leaves unread: refused where the row says less without it, with a cure that names its keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.shapes.base import NotARow, NotHeld, ShapeFit
from alpaca_pipe.data.shapes.columns import PARTS, Columns
from alpaca_pipe.data.shapes.layout import Column, Layout
from alpaca_pipe.data.shapes.transcript import parsed
from alpaca_pipe.data.shapes.values import flat_texts, unpacked

_COULD_BE = (
    "instruction",
    "input",
    "output",
    "text",
    "",
)  # of a column that could be a question or its answer


class NoShape(NotARow):
    """No shape fits the row. whole: the same of a file in which no row has one."""

    def __init__(self, what: str, cure: str, whole: str) -> None:
        super().__init__(what, cure)
        self.whole = whole


def check_unread(
    row: Mapping[str, Any],
    layout: Layout,
    fit: ShapeFit,
    said_of_it: Iterable[Column],
    found: Sequence[Example | Preference],
    columns: Columns,
) -> None:
    """Raises NotARow where a column that belongs to the row was not read, and says nothing that was read; NotHeld for a
    picture or a sound."""
    if columns.only:
        return
    passed = fit.read | {one.key for one in said_of_it}
    left = [one for one in layout.unread(passed) if one.belongs]
    if fit.key("instances"):  # what stands around them is about the file, where it is no text
        left = [one for one in left if one.kind != "object"]
    if not left:
        return
    read = [text for one in found for text in _texts(one)]
    for column in left:
        if column.meaning == "media":
            raise NotHeld(f"it has '{column.key}' beside its text")
        if not _is_told(row[column.key], read):
            raise NotARow(
                f"'{column.key}' is not read, and the row says less without it", _cure(column, fit)
            )


def no_shape(row: Mapping[str, Any], layout: Layout, columns: Columns) -> NotARow:
    """Why no shape fits: which keys there are, and which of them could be the question and the answer."""
    rivals = [one.key for one in layout.all("output") if one.variant]
    texts = sorted(
        (
            one
            for one in layout.columns
            if one.kind in ("text", "json") and one.meaning in _COULD_BE
        ),
        key=lambda one: -len(row[one.key]),
    )
    texts.sort(key=lambda one: one.meaning != "output")  # an answer by name is one
    texts = sorted(texts[:2], key=lambda one: (one.meaning == "output", layout.columns.index(one)))
    shown = ", ".join(list(map(str, row))[:12]) or "none"
    if len(rivals) > 1 and not columns:
        cure = (
            f"say which answer is the better one: --columns chosen={rivals[0]},rejected={rivals[1]}"
        )
    elif len(texts) == 2 and not columns and {one.meaning for one in texts} != {"input"}:
        cure = f"say which is which: --columns instruction={texts[0].key},output={texts[1].key}"
    else:
        cure = "a row has a question and its answer, for example instruction and output"
    what = f"the keys of instruction data; its keys: {shown}"
    return NoShape(f"the row does not have {what}", cure, f"no row has {what}")


def _cure(column: Column, fit: ShapeFit) -> str:
    part: str = column.meaning if column.meaning in PARTS else "input"
    if part in ("instruction", "label", "weight", "status", "tools") or fit.key(part):
        part = "input" if column.kind == "text" and not fit.key("input") else "unread"
    if fit.key("messages"):
        part = "system" if column.meaning == "input" and not fit.key("system") else "unread"
    away = "" if part == "unread" else f", or leave it out with --columns unread={column.key}"
    return f"say what it is: --columns {part}={column.key}{away}"


def _is_told(value: Any, read: Sequence[str]) -> bool:
    """Whether all that a value says was read under another key; or it is the whole row once more, in a frame."""
    value = unpacked(value)
    texts = flat_texts(value) or [json.dumps(value, default=str)]
    if all(any(text.strip() in one for one in read) for text in texts):
        return True
    whole = "\n".join(texts)
    asked = [turn.text for turn in parsed(whole, opened=True) if turn.role == "user"]
    if asked and "\n\n".join(one for one in read[1:3] if one) == asked[-1]:
        return True  # the prompt once more, in a template
    return all(one.strip() in whole for one in read if one.strip())


def _texts(one: Example | Preference) -> list[str]:
    if isinstance(one, Preference):
        sides = (*one.prompt, *one.chosen, *one.rejected, *one.answer)
        return [one.system, one.input, *(said.text for said in sides)]
    if one.messages:
        return [one.system, *(said.text for said in one.messages)]
    return [one.system, one.instruction, one.input, one.output]
