"""Several exchanges under one row: Self-Instruct's instances, NaturalInstructions, question-and-answer pairs below a text.

What an instance does not say itself (an instruction, a context, a system text) is taken from the row that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.shapes import conversation, exchange, preference_pairs
from alpaca_pipe.data.shapes.base import About, NotARow, NotHeld, NotWanted, ShapeFit
from alpaca_pipe.data.shapes.keys import Meaning
from alpaca_pipe.data.shapes.layout import Column, Layout, signature_of
from alpaca_pipe.data.shapes.values import unpacked
from alpaca_pipe.data.shapes.verdicts import (
    BAD_ANSWER,
    NOT_LEARNED,
    check_wanted,
    verdict_columns,
)

name = "instances"
_OUTER: tuple[Meaning, ...] = ("instruction", "input", "system")
_LISTS = (
    "instances",
    "seed_examples",
    "questions_and_answers",
    "question_answer_pairs",
    "qa_pairs",
    "qas",
    "qa",
    "paragraphs",
    "all_instances",
    "examples",
    "samples",
    "pairs",
)


def fit(layout: Layout) -> ShapeFit | None:
    lists = [
        one
        for name in _LISTS
        for one in layout.columns
        if one.plain == name and one.kind == "objects"
    ]
    if not lists or any(not one.variant for one in layout.all("output")):
        return None
    outer = [
        one
        for one in layout.columns
        if one.meaning in _OUTER and one.kind in ("text", "json", "texts")
    ]
    return ShapeFit.of(instances=lists[0], outer=outer)


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example | Preference]:
    key = fit.key("instances")
    outer = {key: row[key] for key in fit.keys("outer")}
    held = [one for one in unpacked(row[key]) if isinstance(one, dict)]
    if not held:
        raise NotARow(
            f"'{key}' holds no exchange", "write a list of objects there, or remove the row"
        )
    taken, wanted = set[str](), 0
    for number, instance in enumerate(held, 1):
        lacking = _lacking(outer, instance)
        taken |= lacking.keys()
        try:
            check = Layout.of(signature_of(instance))
            if check_wanted(instance, verdict_columns(check), about) is False:
                raise NotWanted(BAD_ANSWER, "it is labelled as a bad one")
            yield from _one(lacking | instance, f"{key} {number}", about)
            wanted += 1
        except NotWanted as said:
            about.say(f"an instance is left out ({said.args[0]})")
    if not wanted:
        raise NotWanted(NOT_LEARNED, f"none of its {len(held)} instances is to be learned")
    for name in outer.keys() - taken:
        about.say(f"'{name}' beside '{key}' is left unread")


def _one(row: Mapping[str, Any], where: str, about: About) -> Iterator[Example | Preference]:
    layout = Layout.of(signature_of(row))
    if nested := fit(layout):
        yield from rows(row, nested, about)
        return
    fault: Exception | None = None
    for shape in (preference_pairs, exchange, conversation):
        found = shape.fit(layout)
        if not found:
            continue
        try:
            made = list(shape.rows(row, found, about))
        except (NotARow, NotHeld) as error:
            fault = fault or error
            continue
        for column in layout.unread(found.read):
            if column.belongs or (column.kind == "text" and column.meaning != "meta"):
                about.say(f"'{column.key}' of an instance is left unread")
        yield from made
        return
    raise fault or NotARow(
        f"{where} has no question and answer; its keys: {', '.join(row)}",
        "name them question and answer",
    )


def _lacking(outer: Mapping[str, Any], instance: Mapping[str, Any]) -> dict[str, Any]:
    """What an instance lacks, from outside."""
    own = {one.meaning for one in _filled(instance)}
    lacking = [one for one in _filled(outer) if one.meaning not in own]
    strongest: dict[str, Column] = {}
    for one in sorted(lacking, key=lambda column: column.rank):
        strongest.setdefault(one.meaning, one)
    return {one.key: outer[one.key] for one in strongest.values()}


def _filled(row: Mapping[str, Any]) -> list[Column]:
    return [one for one in Layout.of(signature_of(row)).columns if one.kind != "empty"]
