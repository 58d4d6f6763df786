"""What a shape leaves unread: refused where the row says less without it, with a cure that names its keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.shapes.base import NotARow, NotHeld, ShapeFit
from alpaca_pipe.data.shapes.columns import PARTS, Columns, option
from alpaca_pipe.data.shapes.keys import WEAK
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


_BY_PARTS = 200  # the rank from which a name is known by its last part only
# Names of what a prompt may hold beside its question; where such a text is not read, it is asked about.
MAY_ASK = frozenset(
    [
        "reference",
        "references",
        "code",
        "code_snippet",
        "constraint",
        "constraints",
        "requirement",
        "requirements",
        "rules",
        "demonstrations",
        "few_shot_examples",
        "output_format",
        "response_format",
        "format_instructions",
        "character",
        "role",
    ]
)


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
    _check_question(row, layout, fit)
    passed = fit.read | {one.key for one in said_of_it}
    named = columns.of_row(row)
    _check_rivals(layout, fit)
    left = [
        one
        for one in layout.unread(passed)
        if one.belongs
        or (one.plain in MAY_ASK and one.key not in named and _is_prose(row[one.key]))
    ]
    if fit.key("instances"):  # what stands around them is about the file, where it is no text
        left = [one for one in left if one.kind != "object"]
    if not left:
        return
    read = [text for one in found for text in _texts(one)]
    for column in left:
        if column.meaning == "media":
            raise NotHeld(f"it has '{column.key}' beside its text")
        if column.meaning == "tools" and unpacked(row[column.key]):
            raise NotHeld(
                f"it offers tools ('{column.key}'), and a template of ours cannot say them"
            )
        if not _is_told(row[column.key], read):
            raise NotARow(
                f"'{column.key}' is not read, and the row says less without it", _cure(column, fit)
            )


def _check_question(row: Mapping[str, Any], layout: Layout, fit: ShapeFit) -> None:
    """Raises NotARow where a name that may mean anything (`task`, `title`, `subject`) gives the question, and a longer text
    stands beside it unread."""
    asked = fit.parts.get("instruction", ())
    if not asked or not may_be_else(asked[0]) or not isinstance(row[asked[0].key], str):
        return
    for column in layout.unread(fit.read):
        if column.kind == "text" and column.meaning in ("", "meta"):
            text = row[column.key].strip()
            if " " in text and len(text) > len(row[asked[0].key]):
                raise NotARow(
                    f"'{asked[0].key}' is taken for the question, and '{column.key}' says more",
                    f"say which it is: {option(('instruction', column.key))}, or {option(('instruction', asked[0].key))}",
                )


def rival_answer(layout: Layout, fit: ShapeFit) -> Column | None:
    """Another answer, where the name of the one that is read is only one of its kind: `gpt_response` beside
    `llama_response`."""
    read = fit.parts.get("output", ())
    if not read or not _BY_PARTS <= read[0].rank < WEAK:
        return None
    others = (one for one in layout.unread(fit.read) if one.kind in ("text", "texts"))
    same = (one for one in others if one.meaning == "output" and _BY_PARTS <= one.rank < WEAK)
    return next(same, None)


def _check_rivals(layout: Layout, fit: ShapeFit) -> None:
    """Raises NotARow where another column may be the answer as well."""
    if other := rival_answer(layout, fit):
        read = fit.key("output")
        both = option(("chosen", read), ("rejected", other.key))
        alone = option(("output", read), ("unread", other.key))
        raise NotARow(
            f"'{read}' and '{other.key}' may both be the answer",
            f"say which is the better one: {both}, or which one is read: {alone}",
        )


def may_be_else(column: Column) -> bool:
    """Whether a question's name is one that people use for other things too."""
    return column.rank >= WEAK and column.plain not in ("user", "human", "usr", "ask")


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
        cure = f"say which answer is the better one: {option(('chosen', rivals[0]), ('rejected', rivals[1]))}"
    elif len(texts) == 2 and not columns and {one.meaning for one in texts} != {"input"}:
        cure = (
            f"say which is which: {option(('instruction', texts[0].key), ('output', texts[1].key))}"
        )
    else:
        cure = "a row has a question and its answer, for example instruction and output"
    what = f"the keys of instruction data; its keys: {shown}"
    return NoShape(f"the row does not have {what}", cure, f"no row has {what}")


def _is_prose(value: Any) -> bool:
    """Texts of several words; an address is none."""
    return any(" " in text.strip() and "://" not in text for text in flat_texts(unpacked(value)))


def _cure(column: Column, fit: ShapeFit) -> str:
    away = f"leave it out with {option(('unread', column.key))}"
    part: str = column.meaning if column.meaning in PARTS else "input"
    inputs = fit.keys("input") if fit.key("instruction") and column.kind == "text" else ()
    if fit.key("messages"):
        part = "system" if column.meaning == "input" and not fit.key("system") else "unread"
    elif inputs:  # below them
        both = option(*(("input", key) for key in (*inputs, column.key)))
        return f"say what it is: {both}, or {away}"
    elif part in ("instruction", "label", "weight", "status", "tools") or fit.key(part):
        part = "input" if column.kind == "text" and not fit.key("input") else "unread"
    if part == "unread":
        return away
    return f"say what it is: {option((part, column.key))}, or {away}"


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
