"""One question and its answer in columns: instruction, input, output by whatever names; a system text, a history, choices."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alpaca_pipe.core.example import Example, Message
from alpaca_pipe.data.shapes.base import About, NotARow, NotHeld, NotWanted, ShapeFit
from alpaca_pipe.data.shapes.choices import choices_of, with_choice
from alpaca_pipe.data.shapes.columns import option
from alpaca_pipe.data.shapes.keys import EARLIER, WEAK, plain
from alpaca_pipe.data.shapes.layout import LISTS, TALK, TEXTS, Column, Kind, Layout
from alpaca_pipe.data.shapes.transcript import parsed
from alpaca_pipe.data.shapes.turns import answer_of, conversation, turns_of
from alpaca_pipe.data.shapes.values import answer_in, is_switch, text_of, unpacked
from alpaca_pipe.data.shapes.verdicts import NOT_LEARNED, is_learned

name = "exchange"
# Which question goes with which answer, where a row has several of both.
_PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("instruction", "completion"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("query", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("problem", "solution"),
    ("user", "assistant"),
    ("human", "assistant"),
)
# Names of what is to be done; where a row also has a question of its own, the question is what it is done to.
_DIRECTIVES = frozenset(
    [
        "instruction",
        "instructions",
        "prompt",
        "task",
        "definition",
        "task_description",
        "task_definition",
        "command",
        "指令",
        "指示",
        "지시",
        "지시문",
        "anweisung",
        "consigne",
        "instruccion",
        "instrucao",
        "istruzione",
        "инструкция",
    ]
)
# Under these names a text that is a JSON list of texts holds several answers.
SEVERAL = frozenset(("solutions", "responses", "completions", "generations"))
_DEFINITIONS = frozenset(("definition", "task_definition", "task_description"))
_EVERY: frozenset[Kind] = TEXTS | {"empty", "other"}


def fit(layout: Layout) -> ShapeFit | None:
    """A question and an answer; where there is no question, an input stands for it; where no column is called so, a text."""
    answers = [one for one in layout.all("output", kinds=_EVERY) if not one.variant]
    if (better := layout.first("chosen")) and not layout.first("rejected", kinds=TEXTS | LISTS):
        answers = [better]
    asks = layout.all("instruction", kinds=_EVERY)
    inputs = [one for one in layout.all("input") if one.rank < EARLIER]
    texts = [one for one in layout.all("text") if one.kind == "text" and not one.variant]
    inputs += [one for one in layout.all("messages") if one.kind == "text"]
    choices = layout.all("choices", kinds=TEXTS | LISTS)
    several = [one for one in layout.all("output", kinds=_EVERY) if one.variant]
    if not answers and (choices or (asks and inputs and not several)):
        kinds: tuple[Kind, ...] = ("text", "number") if choices else ("text",)
        answers = layout.all("label", kinds=kinds)
    spoken = sorted((one for one in layout.all("text") if one.variant), key=lambda one: one.variant)
    if not answers and not asks and len(spoken) == 2:
        asks, answers = spoken[:1], spoken[1:]
    if not answers and (asks or inputs) and layout.first("reasoning"):  # as a chat API names them
        answers = [one for one in texts if one.plain == "content"]
        texts = [one for one in texts if one not in answers]
    filled_asks = [one for one in asks if one.kind != "empty"]
    if not filled_asks and (inputs or texts):
        asks = inputs[:1] or texts[:1]
        inputs, texts = inputs[1:], [one for one in texts if one not in asks]
    if not answers or not asks:
        return None
    ask, answer, second = _matched(asks, answers)
    if ask.kind == "objects":
        return None
    apart = len(choices) > 1 and all(one.kind in ("text", "number") for one in choices)
    return ShapeFit.of(
        instruction=ask,
        question=second,
        input=sorted(inputs, key=layout.columns.index),
        output=answer,
        text=texts[:1],
        system=layout.first("system"),
        history=layout.first("history", kinds=TALK | {"text"}),
        choices=sorted(choices, key=layout.columns.index) if apart else choices[:1],
        reasoning=layout.first("reasoning"),
    )


def _matched(
    asks: Sequence[Column], answers: Sequence[Column]
) -> tuple[Column, Column, Column | None]:
    """(the instruction, the answer, a question that the instruction is about)."""
    asked = [one for one in asks if one.kind in TEXTS] or list(asks)
    said = [one for one in answers if one.kind in TEXTS] or list(answers)
    named = {(a.plain, b.plain): (a, b) for a in asked for b in said}
    ask, answer = next((named[pair] for pair in _PAIRS if pair in named), (asked[0], said[0]))
    if min(asked[0].rank, said[0].rank) < 0:  # the user said which
        ask, answer = asked[0], said[0]
    strong = [one for one in asked if one.rank < WEAK or one.plain in _DEFINITIONS]
    if len(strong) == 2 and ask in strong and len([one for one in said if one.rank < WEAK]) < 2:
        other = strong[1 - strong.index(ask)]
        directive = next((one for one in (ask, other) if one.plain in _DIRECTIVES), None)
        question = other if directive is ask else ask
        if directive and question.plain not in _DIRECTIVES and directive.rank >= 0:
            return directive, answer, question
    return ask, answer, None


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example]:
    instruction = _asked(row, fit.key("instruction"), about)
    output = _answer(row, fit.key("output"), instruction, about)
    given = [_input(row, key, about) for key in fit.keys("input")]
    if (key := fit.key("question")) and (
        asked := _text(row, key, about)
    ).strip() not in instruction:
        given.insert(0, asked)  # else the instruction says it already
    if (key := fit.key("text")) and not _is_rendered(text := _text(row, key, about), row, fit):
        given.append(text)
    input_ = "\n\n".join(text for text in given if text.strip())
    if len(given) == 1:
        input_ = given[0]
    system = _text(row, fit.key("system"), about)
    if keys := fit.keys("choices"):
        shown, texts = choices_of(row, fit.parts["choices"], about)
        if not texts or not all(text in instruction for text in texts.values()):
            input_ = f"{input_}\n\n{shown}" if input_.strip() else shown
            about.say(f"choices stand below the question ({', '.join(keys)})")
        output = with_choice(row[fit.key("output")], output, texts, about)
    reasoning = _thought(row, fit.key("reasoning"), about)
    history = _history(row[key], key, about) if (key := fit.key("history")) else []
    if not history and not reasoning:
        yield Example.of(instruction, input_, output, about.origin(), system)
        return
    if reasoning:
        about.say("the reasoning before an answer is kept beside it")
    prompt = f"{instruction}\n\n{input_}" if input_ else instruction
    said = [*history, Message("user", prompt), Message("assistant", output, True, reasoning)]
    yield Example.of_messages(conversation(said, about), about.origin(), system)


def _history(value: Any, key: str, about: About) -> list[Message]:
    """Earlier exchanges, in any of the ways of turns, or as one text in which they speak."""
    if isinstance(unpacked(value), str):
        told = parsed(value, loose=True)
        if not told:
            raise NotARow(
                f"'{key}' is a text, in which nobody speaks in turn",
                f"say what it is: {option(('input', key))}, or leave it out with {option(('unread', key))}",
            )
        return told
    return turns_of(value, f"'{key}'", about)


def _text(row: Mapping[str, Any], key: str, about: About) -> str:
    return text_of(row[key], f"'{key}'", about, "\n\n") if key else ""


def _thought(row: Mapping[str, Any], key: str, about: About) -> str:
    return "" if key and is_switch(row[key]) else _text(row, key, about)


def _needed(row: Mapping[str, Any], key: str, about: About) -> str:
    value = row[key]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise NotARow(f"'{key}' is null, not a text", "put it in quotes, or remove the row")
    return text_of(value, f"'{key}'", about)


def _asked(row: Mapping[str, Any], key: str, about: About) -> str:
    value = row[key]
    several = isinstance(value, list) and {str(one).strip() for one in value if one}
    if several and len(several) > 1 and not any(isinstance(one, dict) for one in value):
        raise NotHeld(f"'{key}' is several texts, and nothing says which of them is asked")
    return _needed(row, key, about)


def _input(row: Mapping[str, Any], key: str, about: About) -> str:
    """An input is a text, several, or an object, which is written as JSON."""
    value = row[key]
    try:
        return text_of(value, f"'{key}'", about, "\n\n")
    except NotARow:
        if not isinstance(value, dict):
            raise
        about.say(f"'{key}', an object, is written as JSON")
        return json.dumps(value, ensure_ascii=False, default=str)


def _answer(row: Mapping[str, Any], key: str, asked: str, about: About) -> str:
    """The answer; of several the first that somebody did not throw away."""
    value = row[key]
    if isinstance(value, str) and plain(key) in SEVERAL and isinstance(answer_in(value), list):
        row = {**row, key: (value := answer_in(value))}
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return _needed(row, key, about)
    if any("role" in one or "type" in one for one in value if isinstance(one, dict)):
        turns = answer_of(value, key, about)
        said = [one for one in turns if one.role == "assistant"]
        if len(said) != 1 or any(one.text not in asked for one in turns if one not in said):
            raise NotARow(f"'{key}' holds more than one answer", "write the turns as messages")
        return said[0].text
    kept = [one for one in value if isinstance(one, dict) and is_learned(one, about)]
    if not kept:
        raise NotWanted(NOT_LEARNED, f"every answer in '{key}' is discarded")
    if len(kept) > 1:
        about.say("of several answers the first is read")
    return text_of(kept[0], f"'{key}'", about)


def _is_rendered(text: str, row: Mapping[str, Any], fit: ShapeFit) -> bool:
    """Whether a text is the whole row once more, in a template: `text` of the Alpaca set on the hub."""
    parts = (row[fit.key("instruction")], row[fit.key("output")])
    return all(isinstance(part, str) and part.strip() in text for part in parts)
