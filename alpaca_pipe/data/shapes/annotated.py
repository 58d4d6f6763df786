"""What an annotation tool exports: the texts that were shown, and what people answered (Argilla, Label Studio)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.shapes.base import About, NotARow, NotWanted, ShapeFit
from alpaca_pipe.data.shapes.keys import plain
from alpaca_pipe.data.shapes.layout import Layout
from alpaca_pipe.data.shapes.values import unpacked
from alpaca_pipe.data.shapes.verdicts import NOT_LEARNED
from alpaca_pipe.data.shapes.within import rows_within

name = "annotations"
GIVES_WAY = "a suggestion gives way to what a person submitted"
_RESPONSES = ("responses", "response", "annotations", "completions")


def fit(layout: Layout) -> ShapeFit | None:
    """Fields beside responses; or one column for each question with answers of several people; or data beside results."""
    by_name = {one.plain: one for one in layout.columns}
    data, marks = by_name.get("data"), by_name.get("annotations") or by_name.get("completions")
    if data and data.kind == "object" and marks:
        return ShapeFit.of(shown=data, results=marks)
    fields, said = by_name.get("fields"), by_name.get("responses")
    if fields and fields.kind in ("object", "json") and (said or "suggestions" in by_name):
        return ShapeFit.of(shown=fields, responses=said, suggestions=by_name.get("suggestions"))
    text, written = by_name.get("text"), by_name.get("annotation")
    if text and written and text.kind == written.kind == "text":
        return ShapeFit.of(asked=text, written=written)
    answered = [one for one in layout.columns if _is_flat(one.key) and one.kind != "empty"]
    if answered and any(one.kind in ("objects", "texts") for one in answered):
        return ShapeFit.of(
            flat=answered, asked=[one for one in layout.columns if one not in answered]
        )
    return None


def _is_flat(key: str) -> bool:
    """`response.responses`, `response.responses.status`, `response.suggestion`; `response-suggestion`."""
    return ".responses" in key or ".suggestion" in key or key.endswith("-suggestion")


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example | Preference]:
    if key := fit.key("written"):
        shown, answers = {"prompt": row[fit.key("asked")]}, {"response": row[key]}
    elif key := fit.key("results"):
        answers = _results(unpacked(row[key]), key)
        shown = row[fit.key("shown")]
    elif key := fit.key("shown"):
        shown = unpacked(row[key])
        answers = _responses(row, fit, about)
    else:
        shown = {key: row[key] for key in fit.keys("asked") if not isinstance(row[key], dict)}
        answers = _flat(row, fit, about)
    if not isinstance(shown, dict):
        raise NotARow("what the annotator was shown is no object", "write the fields by name")
    if not answers:
        raise NotWanted(NOT_LEARNED, "nobody has answered it")
    yield from rows_within({**shown, **answers}, about)


def _results(annotations: Any, key: str) -> dict[str, Any]:
    """Label Studio: name of the control -> what was written or chosen there, of the last annotation that counts."""
    found: dict[str, Any] = {}
    for one in _objects(annotations):
        if one.get("was_cancelled"):
            continue
        for result in _objects(one.get("result")):
            value = result.get("value")
            value = value if isinstance(value, dict) else {}
            texts = value.get("text") or value.get("choices") or value.get("rating")
            if texts:
                found[str(result.get("from_name", key))] = (
                    "\n".join(map(str, texts)) if isinstance(texts, list) else texts
                )
    return found


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _responses(row: Mapping[str, Any], fit: ShapeFit, about: About) -> dict[str, Any]:
    """Argilla: the first submitted answer to each question, else what was suggested."""
    said = unpacked(row[fit.key("responses")]) if fit.key("responses") else {}
    answers: dict[str, Any] = {}
    if isinstance(
        said, list
    ):  # an entry a person: {"values": {question: {"value": ...}}, "status"}
        for one in filter(_counts, said):
            values = one.get("values")
            for question, value in (values if isinstance(values, dict) else {}).items():
                answers.setdefault(question, _value(value))
    elif isinstance(said, dict):
        for question, given in said.items():
            answers |= _first_submitted(question, given, about)
    else:
        raise NotARow(f"'{fit.key('responses')}' holds no responses", "write them by question")
    if any(_is_discarded(one) for one in _people(said)) and not answers:
        raise NotWanted(NOT_LEARNED, "its answer was discarded")
    suggested = unpacked(row[fit.key("suggestions")]) if fit.key("suggestions") else {}
    offered = _suggested(suggested)
    if any(answers.get(question, value) != value for question, value in offered.items()):
        about.say(GIVES_WAY)
    return offered | answers


def _people(said: Any) -> list[Any]:
    if isinstance(said, list):
        return said
    return [one for given in said.values() if isinstance(given, list) for one in given]


def _suggested(suggested: Any) -> dict[str, Any]:
    if isinstance(suggested, dict):
        return {question: _value(value) for question, value in suggested.items()}
    named = _objects(suggested)
    return {str(one.get("question_name") or one.get("question")): _value(one) for one in named}


def _first_submitted(question: str, given: Any, about: About) -> dict[str, Any]:
    counted = [one for one in given if _counts(one)] if isinstance(given, list) else []
    if len(counted) > 1:
        about.say("of several people's answers the first is read")
    return {question: _value(counted[0])} if counted else {}


def _flat(row: Mapping[str, Any], fit: ShapeFit, about: About) -> dict[str, Any]:
    """Argilla as a table: `response.responses`, `response.responses.status`, `response.suggestion`."""
    answers: dict[str, Any] = {}
    for key in fit.keys("flat"):
        question = key.split(".")[0].removesuffix("-suggestion")
        if key.endswith((".suggestion", "-suggestion")):
            answers.setdefault(question, row[key])
    offered = dict(answers)
    for key in fit.keys("flat"):
        if not key.endswith(".responses"):
            continue
        states = row.get(f"{key}.status")
        states = states if isinstance(states, list) else [states] if states else []
        said = row[key] if isinstance(row[key], list) else [row[key]]
        good = [
            text
            for place, text in enumerate(said)
            if place >= len(states) or plain(str(states[place])) == "submitted"
        ]
        if not good:
            raise NotWanted(NOT_LEARNED, f"'{key}.status' is {states!r}")
        if len(good) > 1:
            about.say("of several people's answers the first is read")
        question = key.split(".")[0]
        if offered.get(question) not in (None, "", good[0]):
            about.say(GIVES_WAY)
        answers[question] = good[0]
    return answers


def _counts(one: Any) -> bool:
    return isinstance(one, dict) and plain(str(one.get("status") or "submitted")) == "submitted"


def _is_discarded(one: Any) -> bool:
    return isinstance(one, dict) and plain(str(one.get("status") or "")) == "discarded"


def _value(one: Any) -> Any:
    return one.get("value") if isinstance(one, dict) and "value" in one else one
