"""style: evol - rows that exist are made harder, narrower, more concrete or turned to something else, and answered anew.

After Evol-Instruct (WizardLM, Xu et al. 2023, sec. 2), in our own wording. What did not evolve is eliminated by the rules
below. An input stays as it is while its instruction evolves; a task that is turned to something else stands without one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.word_count import is_unspaced, word_count
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.novelty import unsound
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection, fault_of, unread
from alpaca_pipe.generate.parsing.reply import read_answer as answered
from alpaca_pipe.generate.prior import ONE_BY_ONE, SCRIPTED_ONE_BY_ONE, LogNormal, Prior
from alpaca_pipe.generate.sources.context import generation_of, task_of
from alpaca_pipe.generate.styles.base import Plain, Seat, Style, decoding
from alpaca_pipe.similarity.rouge import rouge_l
from alpaca_pipe.similarity.words import Words, unicode_words

_SYSTEM = "You rework tasks that a language model is trained on. It reads and answers in text only."
_ANSWER = "Answer correctly and completely."

EVOLUTIONS = {
    "deepen": "Turn it into a task that takes more thought: one that asks for the reasons or the consequences, or needs "
    "several steps where now one is enough.",
    "constrain": "Add one or two demands to it that make it harder to fulfil, such as a limit, a form, a reader it is for, "
    "or something that must or must not occur.",
    "concretise": "Replace what is general in it by something concrete: a certain case, place, time or kind, so that the "
    "answer must be about that.",
    "broaden": "Leave it behind, and write another task from the same field that is about as hard, but asks for something "
    "that is seldom asked.",
}

_WANTED = """This is a task:

<task>
{task}
</task>

{evolution}

- What you write must make sense to somebody who does not know the task above, and be possible to answer in text alone.
- It should be at most {more} words longer.{keep}
- Write it as the one who asks would put it. Do not answer it, and say nothing about it.

Answer with the instruction alone."""
_KEEP = (
    "\n- What follows after its first paragraph is its data. That stays as it is; do not repeat it."
)
_LONGER = 25  # words; WizardLM allows 10 to 20 for each constraint

# What belongs to the asking, and has no place in a task unless the task it was made from had it too.
_OUR_WORDS = re.compile(
    r"</?task>|#\s*(?:new|given|rewritten|created|evolved)\b[^\n]*#|"
    r"\b(?:given|rewritten|evolved|original|new|created|reworked) (?:prompt|task|instruction)\b|"
    r"\b(?:the )?task above\b|\bin (?:the )?text alone\b|"
    r"\b(?:harder|more (?:complex|concrete|difficult)) version\b",
    re.IGNORECASE,
)
_RUN = 5  # words: so many of the asking in a row are no accident
_TALKS = re.compile(
    r"(?:this|the) task (?:is|asks|involves|requires|would|was)\b|I(?:['’]d| would) be (?:happy|glad)\b|"
    r"(?:sure|certainly|of course|okay|ok|absolutely|here(?:['’]s| is| are))\b[^\n]*[:!]\s*(?:\n|\Z)|"
    r"(?:instruction|task|prompt)\s*:",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"\A\W*(?:(?:I|we) (?:am|are) |I['’]m |we['’]re )?(?:very |so )?sorry\W*\Z|"
    r"\b(?:sorry|apologi[sz]e|afraid)\b[^.!?\n]{0,80}"
    r"\b(?:cannot|can['’]t|unable|not able|couldn['’]t|could not|don['’]t|do not)\b|"
    r"\b(?:I|we) (?:cannot|can['’]t|am unable to|are unable to|am not able to) "
    r"(?:help|assist|answer|provide|fulfil|comply|complete)\b|"
    r"\bas an? (?:AI|(?:large )?language model)\b",
    re.IGNORECASE,
)
_SHORT = 80  # words: a longer answer that also says sorry is more than that (WizardLM, sec. 2.2)
_STOP_WORDS = frozenset(
    unicode_words(
        "a an and are as at be but by for from has have i in is it its not of on or so than that the their then there these "
        "they this to was we were will with you your"
    )
)


@dataclass(frozen=True)
class Evol(Plain):
    max_tokens: int  # of the answer, and of the instruction
    temperature: float | None  # of the instruction
    takes: frozenset[str]
    likeness: Decimal
    words: Words
    generations: int  # how often a row can have evolved
    name: ClassVar[str] = "evol"
    says: ClassVar[str] = "rows made harder, or turned to something else"
    # Guesses, measured nowhere yet.
    prior: ClassVar[Prior] = replace(
        ONE_BY_ONE,
        out=LogNormal(60, 0.4),
        out_answer=LogNormal(250, 0.5),
        readable=(1.4, 1.0),
        hazard=LogNormal(0.02, 1.0),
    )
    scripted_prior: ClassVar[Prior] = replace(SCRIPTED_ONE_BY_ONE, out=LogNormal(36, 0.15))
    keys: ClassVar[tuple[str, ...]] = ("rows", "per_source", "depth", "times")
    defaults: ClassVar[Mapping[str, Any]] = {"times": 1}
    follows: ClassVar[int] = 1
    seeded: ClassVar[bool] = False
    grounded: ClassVar[bool] = True

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        return cls(
            config.max_tokens,
            config.temperature_for(takes),
            takes,
            config.likeness,
            config.words,
            config.depth,
        )

    @property
    def depth(self) -> int:
        return self.generations

    def request_for(self, seat: Seat) -> Request:
        assert seat.ground
        parent, evolution = _parent(seat), evolution_of(seat)
        text = _WANTED.format(
            task=seat.ground.text,
            evolution=EVOLUTIONS[evolution],
            more=_LONGER,
            keep=_KEEP if parent.input.strip() and evolution != "broaden" else "",
        )
        return Request(
            (PromptMessage("system", _SYSTEM), PromptMessage("user", text)),
            decoding(self.takes, {"max_tokens": self.max_tokens, "temperature": self.temperature}),
        )

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        if fault := fault_of(reply):
            return [fault]
        text = reply.text.strip()
        if _TALKS.match(text):
            return [
                unread(
                    text,
                    "talks_about_it",
                    "the reply speaks about the task, and is not the task alone",
                )
            ]
        parent, evolution = _parent(seat), evolution_of(seat)
        details = {"evolution": evolution, "generation": 1 + generation_of(parent)}
        return [Draft(text, "" if evolution == "broaden" else parent.input, details=details)]

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        parent = _parent(seat)
        if fault := unsound(draft):
            return fault
        if copied := _copied(draft.instruction, parent.instruction):
            return Rejection(
                "copies_prompt",
                f"the instruction says '{copied}', the words that it was asked for with",
            )
        gain = rouge_l(draft.instruction, parent.instruction, self.words)
        if gain > self.likeness:
            return Rejection(
                "no_gain",
                f"ROUGE-L F {float(gain):.3f} with the row that it was made from, at most "
                f"{self.likeness} wanted",
                parent.id,
            )
        return None if draft.output is None else _no_answer(draft.output)

    def follow_up(self, seat: Seat, draft: Draft) -> Request | None:
        if draft.output is not None:
            return None
        return Request(
            (
                PromptMessage("system", _ANSWER),
                PromptMessage("user", task_of(draft.instruction, draft.input)),
            ),
            decoding(self.takes, {"max_tokens": self.max_tokens}),
        )

    def parse_follow_up(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        return [answered(draft, reply)]


def evolution_of(seat: Seat) -> str:
    return random.Random(seat.draw).choice(tuple(EVOLUTIONS))


def _copied(instruction: str, parent: str) -> str:
    """What an instruction has of the asking, and not of the task that it was made from; or ""."""
    theirs = {found.lower() for found in _OUR_WORDS.findall(parent)} | set(_runs(parent))
    ours = [*_OUR_WORDS.findall(instruction), *(run for run in _runs(instruction) if run in _ASKED)]
    return next((found for found in ours if found.lower() not in theirs), "")


def _runs(text: str) -> list[str]:
    """Each five words of a text that follow each other."""
    words = unicode_words(text)
    return [" ".join(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)]


_ASKED = frozenset(
    run for text in (_SYSTEM, _WANTED, _KEEP, *EVOLUTIONS.values()) for run in _runs(text)
)


def _parent(seat: Seat) -> Example:
    assert seat.ground and seat.ground.example
    return seat.ground.example


def _no_answer(output: str) -> Rejection | None:
    """WizardLM's rules for a task that the teacher could not answer: it evolved into nonsense."""
    words = unicode_words(output)
    if all(word in _STOP_WORDS for word in words):
        return Rejection("says_nothing", "the output has no word but stop words")
    count = word_count(output) if is_unspaced(output) else len(words)
    if count < _SHORT and (found := _DECLINES.search(output)):
        return Rejection("declines", f"the output has {count} words and says '{found.group()}'")
    return None
