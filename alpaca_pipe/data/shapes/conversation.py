"""A conversation in one column: messages, conversations, dialog, contents ...; with a system text or tools beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alpaca_pipe.core.example import Example, Message
from alpaca_pipe.data.shapes.base import About, NotARow, NotHeld, ShapeFit
from alpaca_pipe.data.shapes.columns import option
from alpaca_pipe.data.shapes.keys import WEAK
from alpaca_pipe.data.shapes.layout import Column, Kind, Layout
from alpaca_pipe.data.shapes.turns import answer_of, conversation, turns_of
from alpaca_pipe.data.shapes.values import flat_texts, text_of, unpacked

name = "conversation"
_TEMPLATE = "chat_template_kwargs"
_TURNS: tuple[Kind, ...] = ("objects", "texts", "lists", "json", "object")


def fit(layout: Layout) -> ShapeFit | None:
    """A list of turns; or a prompt and a completion that are both lists of them, as TRL writes; or `data`, a list of texts."""
    said: list[Column] = layout.all("messages", kinds=_TURNS)[:1]
    if not said:
        ask = layout.first("instruction", kinds=_TURNS[:1])
        answer = layout.first("output", kinds=("objects", "object", "text"))
        if ask and answer and not layout.all("messages"):
            said = [ask, answer]
        elif ask and not answer:
            said = [ask]
        elif answer and (given := _told_before(layout)):
            said = [given, answer]
    if not said:
        said = [
            one for one in layout.columns if one.plain == "data" and one.kind in ("texts", "lists")
        ]
    if not said:
        return None
    system = layout.first("system")
    reply = next((one for one in layout.all("output") if one.rank < WEAK), None)
    context = next((one for one in layout.all("input") if one.plain == "context"), None)
    return ShapeFit.of(
        messages=said,
        system=system,
        tools=layout.first("tools"),
        reply=None if len(said) > 1 else reply,
        context=None if system or context in said else context,
        template=next((one for one in layout.columns if one.plain == _TEMPLATE), None),
    )


def _told_before(layout: Layout) -> Column | None:
    """What the answer answers, where no question has a column of its own: a history, or turns under `input` or `context`."""
    turns = layout.all("input", kinds=("objects", "lists"))
    before = layout.first("history", kinds=_TURNS)
    return before or next((one for one in turns if one.plain in ("input", "context")), None)


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example]:
    if (key := fit.key("tools")) and unpacked(row[key]):
        raise NotHeld(f"it offers tools ('{key}'), and a template of ours cannot say them")
    system = text_of(row[key], f"'{key}'", about, "\n\n") if (key := fit.key("system")) else ""
    if key := fit.key("template"):
        system = system or _custom_instructions(row[key])
    first, *more = fit.keys("messages")
    if key := fit.key("context"):
        system = _google_context(row, key, row[first], about)
    said = turns_of(row[first], f"'{first}'", about)
    for key in more:
        said += answer_of(row[key], key, about)
    if key := fit.key("reply"):
        said += _reply(row[key], key, said, about)
    try:
        yield Example.of_messages(conversation(said, about), about.origin(), system)
    except ValueError as error:
        raise NotHeld(str(error)) from None


def _reply(value: Any, key: str, said: Sequence[Message], about: About) -> list[Message]:
    """An answer in a column beside the messages: the last one's, where they end with a question; else it is told."""
    if said and said[-1].role == "user":
        answers = answer_of(value, key, about)
        if len(answers) > 1 and {one.role for one in answers} == {"assistant"} and _alone(value):
            raise NotHeld(
                f"'{key}' holds {len(answers)} answers, and nothing says which is the best"
            )
        return answers
    if not any(text.strip() in one.text for text in flat_texts(unpacked(value)) for one in said):
        about.say(f"'{key}' beside the messages is left unread")
    return []


def _custom_instructions(given: Any) -> str:
    """What SmolLM3's template writes into the system text, of all that a row hands to a template."""
    said = given.get("custom_instructions") if isinstance(given, dict) else None
    return said if isinstance(said, str) else ""


def _alone(value: Any) -> bool:
    """Whether each object is an answer of its own, and no turn of a conversation."""
    return not any("role" in one or "from" in one for one in value if isinstance(one, dict))


def _google_context(row: Mapping[str, Any], key: str, turns: Any, about: About) -> str:
    """Beside turns that have an `author`, `context` is Google's word for the system text; else nobody knows where it goes."""
    first = turns[0] if isinstance(turns, list) and turns else None
    if not isinstance(first, dict) or "author" not in first:
        raise NotARow(
            f"'{key}' is not read, and the row says less without it",
            f"say what it is: {option(('system', key))}, or leave it out with {option(('unread', key))}",
        )
    return text_of(row[key], f"'{key}'", about, "\n\n")
