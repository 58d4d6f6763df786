"""Texts that carry what a template or a page put around them: parsed back, or taken off, and told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alpaca_pipe.core.example import Example, Message
from alpaca_pipe.data.shapes.base import About, NotHeld
from alpaca_pipe.data.shapes.scraped import (
    BUTTON,
    has_stray_tags,
    is_scraped,
    markdown_of,
    without_buttons,
    without_stray_tags,
)
from alpaca_pipe.data.shapes.transcript import ENDS, parsed
from alpaca_pipe.data.shapes.turns import conversation

_OPENED = (
    "<",
    "[",
    "#",
    "\n",
    "Human:",
    "USER:",
    "User:",
    "Q:",
    "Question:",
    "Customer:",
    "用户",
    "问",
    "Below is an",
    "A chat between",
    "The conversation between",
)
_MARKS = "<", "[EOS]", BUTTON  # without any of them an answer is as it should be
_LEADING = re.compile(rf"(?:\s*(?:{ENDS.pattern}))+\s*")
_TRAILING = re.compile(rf"\s*(?:(?:{ENDS.pattern})\s*)+\Z")


def is_clean(asked: Any, given: Any, answer: Any, system: Any) -> bool:
    """Whether four values are texts of whole characters, without anything that looks like a template's or a page's marks."""
    if not (type(asked) is type(given) is type(answer) is type(system) is str):
        return False
    if not (asked.isascii() and given.isascii() and answer.isascii() and system.isascii()):
        try:
            f"{asked}{given}{answer}{system}".encode()
        except UnicodeEncodeError:
            return False
    marked = "<" in answer or "<" in asked or "[EOS]" in answer or BUTTON in answer
    return not marked and not asked.startswith(_OPENED)


def unframed(example: Example, about: About, spoken: bool) -> Example:
    """The row without the marks of a chat template and without a page's tags. spoken: it was said in a conversation. Raises NotHeld,
    NotWanted."""
    if example.messages:
        said = list(example.messages)
        cleaned = [_cleaned(one, said, about) for one in said]
        if cleaned == said:
            return example
        return Example.of_messages(cleaned, example.origin, example.system)
    prompt, answer = example.instruction, example.output
    if prompt.startswith(_OPENED) and (told := parsed(prompt, opened=True)):
        return _of_prompt(example, told, about)
    if not any(mark in answer for mark in _MARKS) and "<" not in prompt:
        return example
    asked = without_ends(prompt, about)
    told_back = without_ends(answer, about)
    told_back = _untagged(told_back, asked, spoken, about)
    if (asked, told_back) == (prompt, answer):
        return example
    return Example.of(asked, example.input, told_back, example.origin, example.system)


def _of_prompt(example: Example, told: Sequence[Message], about: About) -> Example:
    """The prompt is a rendered conversation; the output answers it."""
    about.say("a rendered template is parsed back")
    said = [*told, Message("assistant", without_ends(example.output, about).strip())]
    if example.input.strip():
        raise NotHeld("its instruction is a rendered template, and it has an input beside it")
    if told[-1].role == "assistant":
        raise NotHeld("its instruction is a rendered conversation that is answered already")
    try:
        return Example.of_messages(conversation(said, about), example.origin, example.system)
    except ValueError as error:
        raise NotHeld(str(error)) from None


def _cleaned(one: Message, said: Sequence[Message], about: About) -> Message:
    if not any(mark in one.text for mark in _MARKS):
        return one
    text = without_ends(one.text, about)
    asked = "\n".join(other.text for other in said if other.role == "user")
    if one.role == "assistant":
        text = _untagged(text, asked, True, about)
    return one if text == one.text else replace(one, text=text)


def _untagged(text: str, asked: str, spoken: bool, about: About) -> str:
    """An answer without the tags and buttons of the page that it was scraped from."""
    if spoken and BUTTON in text and (kept := without_buttons(text)) != text:
        about.say("the buttons of a scraped page are taken out")
        text = kept
    if is_scraped(text, asked, spoken):
        text = markdown_of(text)
    elif spoken and has_stray_tags(text, asked):
        text = without_stray_tags(text)
    else:
        return text
    about.say("the tags of a scraped page are taken out")
    return text


def without_ends(text: str, about: About) -> str:
    """Without the tokens of a template at its two ends."""
    end = _TRAILING.search(text)
    start = _LEADING.match(text)
    if not end and not start:
        return text
    kept = text[start.end() if start else 0 : end.start() if end else len(text)]
    if not kept.strip():
        return text
    about.say("the tokens of a template at the ends of a text are cut")
    return kept
