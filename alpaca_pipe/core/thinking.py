"""The answer in what a model wrote: without the part named thinking, and without the marks of its chat template.

A part named thinking ends at its closing mark, also where only that mark came (the opening one stood in the prompt); one
that is never closed is thinking to its end. Marks in a code fence, or between quotes or backticks, are somebody's subject.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.lazy_regex import lazy_regex

_NAMES = r"think|thinking|thoughts?|seed:think|antml:thinking"
_AT_THE_START = r"reasoning|reflection|analysis|scratchpad|internal_monologue|inner_thoughts"
_OPEN = lazy_regex(
    rf"<(?:{_NAMES})>|\[THINK\]|<\|START_THINKING\|>|<\|begin_of_thought\|>|<\|thinking\|>|◁think▷|<unused94>|<\|channel>thought\b",
    re.IGNORECASE,
)
_CLOSE = lazy_regex(
    rf"</(?:{_NAMES})>|\[/THINK\]|<\|END_THINKING\|>|<\|end_of_thought\|>|<\|/thinking\|>|◁/think▷|<unused95>|<channel\|>",
    re.IGNORECASE,
)
_OPEN_FIRST = lazy_regex(rf"<({_AT_THE_START})>", re.IGNORECASE)
_DONE = lazy_regex(r"\A\s*Thinking\.\.\.\n.*?\n\.\.\.done thinking\.\n", re.DOTALL)  # Ollama's
_BARE = lazy_regex(r"\Aanalysis(?=\W|[A-Z]).*?assistantfinal", re.DOTALL)  # marks left out
_CHANNEL = lazy_regex(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_WHOLE_ANSWER = lazy_regex(r"\A<answer>(.*?)(?:</answer>)?\Z", re.DOTALL | re.IGNORECASE)

_HEAD = lazy_regex(
    r"\A\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|im_start\|>\s*assistant|<\|start_header_id\|>\s*assistant\s*"
    r"<\|end_header_id\|>|<start_of_turn>\s*model|<\|turn>\s*model|<\|start\|>assistant|<\|assistant\|>|<｜Assistant｜>|"
    r"\[/INST\])\s*",
)
_MARK = lazy_regex(
    r"<\|(?:im_end|im_start|eot_id|eom_id|eot|end_of_text|endoftext|end|end_of_turn|endofprompt|return|call|start|"
    r"start_header_id|end_header_id|begin_of_text|user|assistant|system|channel|message|END_OF_TURN_TOKEN|"
    r"START_OF_TURN_TOKEN|turn)\|?>|<(?:end_of_turn|start_of_turn|eos|bos|turn\|)>|<turn\|>|"
    r"<｜(?:end▁of▁sentence|begin▁of▁sentence|User|Assistant)｜>|\[/?INST\]|\[EOS\]|\[BOS\]|<</?SYS>>|</s>|<s>\s*\[INST\]"
)
_ANY = lazy_regex(
    r"<[/|｜]?\w|<\|/|<<|\[/?(?:THINK|INST|EOS|BOS)|◁|\Aanalysis|\A\s*Thinking\.\.\.", re.IGNORECASE
)
_FENCE = "```"
_QUOTES = "`\"'“”‘’"


@dataclass(frozen=True)
class WrittenText:
    """answer: what is for the reader.  thought: a part named thinking stood before or within it.  mark: the first mark of a
    chat template that stood in the rest, "" where none did."""

    answer: str
    thought: bool = False
    mark: str = ""


@lru_cache(maxsize=256)
def written(text: str) -> WrittenText:
    """What a model wrote, told apart. JSON that is whole is data, whatever its strings hold."""
    if not _may_hold_any(text) or _is_json(text):
        return WrittenText(text)
    rest = _without_head(text)
    answer = _final_channel(rest)
    if answer is None:
        answer = _without_thoughts(rest)
    thought = answer != rest
    cut, mark = _before_mark(answer)
    if thought and (wrapped := _WHOLE_ANSWER.match(cut.strip())):
        cut = wrapped[1]
    if not thought and not mark:
        return WrittenText(text)
    return WrittenText(cut.strip() if thought else cut.rstrip(), thought, mark)


def answer_of(text: str) -> str:
    """See `written`."""
    return written(text).answer if _may_hold_any(text) else text


def _may_hold_any(text: str) -> bool:
    """Most texts hold nothing like it, which a look for three characters tells sooner than a pattern."""
    return (may_be_marked(text) or "Thinking..." in text or text[:8] == "analysis") and bool(
        _ANY.search(text)
    )


def may_be_marked(text: str) -> bool:
    """It holds a character that every mark has."""
    return "<" in text or "[" in text or "◁" in text


def template_mark(text: str) -> str:
    """The first mark of a chat template, or of thinking, that a text holds outside of fences and quotes; "" for none."""
    if not may_be_marked(text):
        return ""
    for pattern in (_OPEN, _CLOSE, _MARK):
        for found in pattern.finditer(text):
            if not _is_subject(text, found) and not _is_html(text, found):
                return found.group()
    return ""


def _is_json(text: str) -> bool:
    if not text.lstrip()[:1] in ("{", "["):
        return False
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _without_head(text: str) -> str:
    while (found := _HEAD.match(text)) and not (found.group().strip() == "<s>" and "</s>" in text):
        text = text[found.end() :]
    return text


def _final_channel(text: str) -> str | None:
    """Of OpenAI's open models' form, what the channel `final` says; None where there are no channels."""
    if bare := _BARE.match(text):
        return text[bare.end() :]
    heads = list(_CHANNEL.finditer(text))
    if not heads or _is_subject(text, heads[0]):
        return None
    ends = [head.start() for head in heads[1:]] + [len(text)]
    said = [
        _before_mark(text[head.end() : end])[0]
        for head, end in zip(heads, ends, strict=True)
        if head[1] == "final"
    ]
    return "".join(said)


def _without_thoughts(text: str) -> str:
    if done := _DONE.match(text):
        text = text[done.end() :]
    if first := _OPEN_FIRST.match(text.lstrip()):
        end = text.lower().find(f"</{first[1].lower()}>")
        if end >= 0:
            text = text[end + len(first[1]) + 3 :]
    while True:
        opens = [found for found in _OPEN.finditer(text) if _counts(text, found)]
        closes = [found for found in _CLOSE.finditer(text)]
        start = opens[0].start() if opens else len(text)
        lone = next((end for end in closes if end.start() < start and _counts(text, end)), None)
        if lone is not None:  # its opening mark stood in the prompt
            text = text[lone.end() :]
        elif not opens:
            return text
        else:
            end = _end_of_thought(opens[0].end(), text, closes)
            before = text[:start].rstrip()
            text = before + ("\n" if before and text[end:].strip() else "") + text[end:].lstrip()


def _end_of_thought(at: int, text: str, closes: list[re.Match[str]]) -> int:
    """The end of the part that was opened before `at`: past its own closing mark, else past the last one, else the end."""
    after = [found for found in closes if found.start() >= at]
    depth = 1
    for found in sorted([*_OPEN.finditer(text, at), *after], key=lambda one: one.start()):
        depth += 1 if _OPEN.fullmatch(found.group()) else -1
        if depth == 0:
            return found.end()
    return after[-1].end() if after else len(text)


def _counts(text: str, found: re.Match[str]) -> bool:
    """At the start of a text every mark counts; later on, one that is nobody's subject."""
    return not text[: found.start()].strip() or not _is_subject(text, found)


def _before_mark(text: str) -> tuple[str, str]:
    """The text up to the first mark of a template, and the mark."""
    for found in _MARK.finditer(text):
        if not _is_subject(text, found) and not _is_html(text, found):
            return text[: found.start()], found.group()
    return text, ""


def _is_html(text: str, found: re.Match[str]) -> bool:
    """Whether `</s>` ends what is struck out, or stands within a text that goes on."""
    if found.group() != "</s>":
        return False
    return "<s>" in text[: found.start()] or bool(text[found.end() :].strip())


def _is_subject(text: str, found: re.Match[str]) -> bool:
    """Whether a mark is what a text is about: in a code fence, or right between quotes or backticks."""
    before, after = text[: found.start()], text[found.end() :]
    if before.count(_FENCE) % 2 and _FENCE in after:
        return True
    return before[-1:] in _QUOTES and after[:1] in _QUOTES if before and after else False
