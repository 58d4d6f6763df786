"""style: self-instruct - the original's steps: instructions, classification or not, then instances, each by its own request.

Read from yizhongw/self-instruct@0b26cca (Wang et al. 2022, sec. 2.2): eight shown, two of them written by the machine; for a
classification the labels come first and inputs for each of them, or one label would be had too often; for anything else
the input comes first. Its decoding, stops and filters; the wording and the examples in the prompts are our own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.data import stanford_rules
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.novelty import Ties
from alpaca_pipe.generate.parsing.instances import instances
from alpaca_pipe.generate.parsing.numbered_list import until_stop
from alpaca_pipe.generate.parsing.reply import Draft, Piece, Rejection, fault_of, unread
from alpaca_pipe.generate.prior import ONE_BY_ONE, SCRIPTED_ONE_BY_ONE, LogNormal, Prior
from alpaca_pipe.generate.styles.base import Plain, Seat, Style, decoding

LAST = 15  # the number of the last task that is asked for
_TOP_P, _PRESENCE = 0.5, 2.0  # of instructions
_INSTANCE_TOKENS, _INSTANCE_PRESENCE = 350, 1.5
_KIND_TOKENS = 8
_MOST = 5  # instances of an instruction

_LIST = f"Write down tasks, each of another kind. Go on with this list up to number {LAST}:\n\n"
# The original's: fewer than Stanford's.
_MEDIA = re.compile(
    r"\b(?:images?|graphs?|pictures?|files?|maps?|draw|plot|go to)\b", re.IGNORECASE
)
_RULES = tuple(rule for rule in stanford_rules.RULES if rule is not stanford_rules.media)

_KIND = (
    "Is it a classification, that is, a task whose output is one of a few labels that are known beforehand? Answer "
    "with yes or no.\n\n"
)
_KINDS = (
    ("Say whether the comment is friendly or hostile.", "yes"),
    ("Give me some ideas for a birthday present for my grandfather.", "no"),
    ("Which of these departments should the letter go to: sales, service or accounting?", "yes"),
    ("Put the sentence into the past tense.", "no"),
    ("How is vinegar made?", "no"),
    (
        "Does the second statement follow from the first? Answer with true, false or undecided.",
        "yes",
    ),
    ("Work out how long the journey takes.", "no"),
    ("Name the season in which the scene takes place.", "yes"),
    ("Write a reference for a former colleague.", "no"),
    ("Is the number prime?", "yes"),
)

_INPUT_FIRST = """Give examples for each task. Where it needs an input, write the input first and then the output that is \
right for it; where it needs none, write the output at once. At most five examples.

Task: Put the words into alphabetical order.
Example 1
Input: plum, cherry, apple
Output: apple, cherry, plum
Example 2
Input: tin, zinc, gold, iron
Output: gold, iron, tin, zinc

Task: What helps against hiccups?
Output: Holding the breath for some seconds, drinking a glass of water in small sips, or waiting: they pass by themselves.

Task: Turn the note into a polite e-mail.
Example 1
Input: printer broken again, come today
Output: Good morning, our printer has stopped working again. Could somebody have a look at it today? Many thanks.

Task: Work out the area of the room.
Example 1
Input: length 4 m, width 3.5 m
Output: 4 m x 3.5 m = 14 square metres
Example 2
Input: a square with sides of 5 m
Output: 5 m x 5 m = 25 square metres

Task: Tell a joke about the weather.
Output: I wanted to tell you one about fog, but it would go right past you.

"""
_OUTPUT_FIRST = """Give an example for each label that is possible in the task: the label first, then an input for which it \
is right. Where the task needs no input, write the label alone. At most five labels.

Task: Say whether the guest was pleased.
Class label: pleased
Input: We slept like stones and the breakfast was a feast.
Class label: not pleased
Input: The tap dripped all night, and nobody came to mend it.

Task: Is the sentence a question, an order or a statement?
Class label: question
Input: Where have you left the keys?
Class label: order
Input: Close the window before you leave.
Class label: statement
Input: The shop on the corner is closed on Mondays.

Task: Answer with true or false: the Nile flows into the Mediterranean Sea.
Class label: true

Task: Decide which subject the lesson belongs to: history, biology or music.
Class label: biology
Input: Today we look at how leaves take in light.
Class label: history
Input: We compare two letters from the year 1848.
Class label: music
Input: We clap the rhythm before we sing it.

"""
_STOP_TASKS, _STOP_KIND, _STOP_INSTANCES = (
    (f"\n{LAST + 1}.",),
    ("\n",),
    (f"Example {_MOST + 1}", "\nTask:"),
)


@dataclass(frozen=True)
class SelfInstruct(Plain):
    max_tokens: int  # of a list of instructions
    temperature: float | None  # of the same
    takes: frozenset[str]
    name: ClassVar[str] = "self-instruct"
    goes_on: ClassVar[bool] = True
    says: ClassVar[str] = "as Self-Instruct did: instructions, their kind, their instances"
    # Guesses, measured nowhere yet.
    prior: ClassVar[Prior] = replace(
        ONE_BY_ONE,
        out=LogNormal(16, 0.3),
        out_answer=LogNormal(40, 0.5),
        readable=(2.0, 1.0),
        finished=(1.5, 1.0),
    )
    scripted_prior: ClassVar[Prior] = replace(SCRIPTED_ONE_BY_ONE, out=LogNormal(14, 0.2))
    marks: ClassVar[Mapping[str, int]] = {"instances": 2}  # read otherwise than in 2026-11
    defaults: ClassVar[Mapping[str, Any]] = {"shown": 8, "temperature": 0.7, "words": "rouge"}
    follows: ClassVar[int] = 2
    ties: ClassVar[Ties] = "doubles"
    machine: ClassVar[int] = 2
    dialects: ClassVar[tuple[str, ...]] = ("chat", "completions")

    @classmethod
    def of(cls, config: GenerateConfig, teacher: str, takes: frozenset[str]) -> Style:
        return cls(config.max_tokens, config.temperature_for(takes), takes)

    def tasks(self, shown: int) -> int:
        return max(LAST - shown, 1)

    def request_for(self, seat: Seat) -> Request:
        shown = [
            *(seed.example.instruction for seed in seat.shown),
            *(row.instruction for row in seat.machine),
        ]
        random.Random(seat.draw).shuffle(shown)
        lines = [
            f"{number}. {_one_line(text).rstrip(':')}\n" for number, text in enumerate(shown, 1)
        ]
        return self._request(
            f"{_LIST}{''.join(lines)}{len(shown) + 1}.",
            self.max_tokens,
            self.temperature,
            _STOP_TASKS,
            top_p=_TOP_P,
            presence_penalty=_PRESENCE,
        )

    def parse(self, seat: Seat, reply: Completion) -> list[Piece]:
        if fault := fault_of(reply, cut_is_read=True):
            return [fault]
        text, stopped = until_stop(reply.text, _STOP_TASKS)
        shown = len(seat.shown) + len(seat.machine)
        return list(
            _at_most(
                self.tasks(shown),
                _listed(text, shown + 1, reply.finish == "length" and not stopped),
            )
        )

    def rejection(self, seat: Seat, draft: Draft) -> Rejection | None:
        if fault := _unsuited(draft.instruction):
            return fault
        return None if draft.output is None else _invalid(draft, draft.output)

    def follow_up(self, seat: Seat, draft: Draft) -> Request | None:
        if draft.output is not None:
            return None
        if "classification" not in draft.details:
            shown = "".join(
                f"Task: {task}\nClassification: {answer}\n\n" for task, answer in _KINDS
            )
            return self._request(
                f"{_KIND}{shown}Task: {_one_line(draft.instruction)}\nClassification:",
                _KIND_TOKENS,
                0,
                _STOP_KIND,
                top_p=0.0,
            )
        shown = _OUTPUT_FIRST if draft.details["classification"] else _INPUT_FIRST
        return self._request(
            f"{shown}Task: {_one_line(draft.instruction)}\n",
            _INSTANCE_TOKENS,
            0,
            _STOP_INSTANCES,
            top_p=0.0,
            presence_penalty=_INSTANCE_PRESENCE,
        )

    def parse_follow_up(self, seat: Seat, draft: Draft, reply: Completion) -> list[Piece]:
        if fault := fault_of(reply, cut_is_read=True):
            return [fault]
        if "classification" not in draft.details:
            return [_of_kind(draft, reply.text)]
        text, stopped = until_stop(_without_task(reply.text, draft.instruction), _STOP_INSTANCES)
        cut = reply.finish == "length" and not stopped
        return _without_contradiction(
            instances(draft, text, cut, labels=bool(draft.details["classification"]), most=_MOST)
        )

    def _request(
        self,
        text: str,
        max_tokens: int,
        temperature: float | None,
        stops: Sequence[str],
        **fields: float,
    ) -> Request:
        always = {"max_tokens": max_tokens, "temperature": temperature}
        return Request(
            (PromptMessage("user", text),), decoding(self.takes, always, stop=list(stops), **fields)
        )


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _without_task(text: str, instruction: str) -> str:
    """A chat model may repeat the line that it goes on after."""
    head, _, rest = text.lstrip().partition("\n")
    return rest if _one_line(head) == f"Task: {_one_line(instruction)}" else text


def _listed(text: str, first: int, cut: bool) -> Iterator[Piece]:
    """The tasks of a list that goes on after an open `{first}.`, whether the reply repeats that number or begins anew."""
    heads = list(
        re.finditer(r"^[ \t]*(?:\*\*)?(\d+)\s?[.)](?:\*\*)?(?:[ \t]+|$)", text, re.MULTILINE)
    )
    before = text[: heads[0].start()].strip() if heads else text
    goes_on = not heads or (before != "" and int(heads[0][1]) == first + 1)
    starts = [(0, 0)] * goes_on + [(head.start(), head.end()) for head in heads]
    if before and not goes_on:
        yield unread(before, "no_task", "this stands before the list")
    for place, (_, begin) in enumerate(starts):
        last = place + 1 == len(starts)
        piece = text[begin : len(text) if last else starts[place + 1][0]].strip()
        if last and cut:
            yield unread(piece, "cut_off", "the reply was cut at its token limit, within this task")
        elif not piece:
            yield unread(
                text[starts[place][0] : begin].strip() or text,
                "empty_task",
                "a number without a task",
            )
        elif "\n" in piece:
            yield unread(
                piece, "several_lines", "a task should have one line, and this one has several"
            )
        else:
            yield Draft(_one_line(piece))


def _at_most(count: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """So many tasks were asked for; each further one would be two more requests."""
    tasks = 0
    for piece in pieces:
        tasks += isinstance(piece, Draft)
        yield (
            unread(piece.instruction, "too_many", f"{count} tasks were asked for")
            if isinstance(piece, Draft) and tasks > count
            else piece
        )


def _of_kind(draft: Draft, text: str) -> Piece:
    """The draft that knows whether it is a classification. The original takes whatever is no yes for a no."""
    said = re.search(r"\b(yes|no)\b", text.strip().split("\n")[0], re.IGNORECASE)
    if not said:
        return unread(
            text,
            "neither_yes_nor_no",
            "asked whether it is a classification, the reply says neither yes nor no",
        )
    return replace(draft, details={**draft.details, "classification": said[1].lower() == "yes"})


def _without_contradiction(pieces: Sequence[Piece]) -> list[Piece]:
    """Of instances with one input and several outputs none can be trusted; of the same instance twice, one is enough."""
    outputs: dict[str, set[str]] = {}
    for piece in pieces:
        if isinstance(piece, Draft):
            outputs.setdefault(piece.input, set()).add(piece.output or "")
    kept: list[Piece] = []
    seen: set[str] = set()
    for piece in pieces:
        if isinstance(piece, Draft) and len(outputs[piece.input]) > 1:
            piece = replace(piece, details={**piece.details, "fault": "other_outputs"})
        elif isinstance(piece, Draft) and piece.input in seen:
            piece = replace(piece, details={**piece.details, "fault": "same_instance"})
        elif isinstance(piece, Draft):
            seen.add(piece.input)
        kept.append(piece)
    return kept


_FAULTS = {
    "other_outputs": "the same input has another output in another instance of this instruction",
    "same_instance": "another instance of this instruction has the same input and output",
}


def _unsuited(instruction: str) -> Rejection | None:
    """The original's rules for an instruction, in its order."""
    words, *others = _RULES
    if reason := words(instruction):
        return Rejection(words.__name__, reason)
    if found := _MEDIA.search(instruction):
        word = found.group().lower()
        return Rejection(
            "media", f"the instruction says '{word}', which a text model can neither see nor make"
        )
    return next(
        (Rejection(rule.__name__, reason) for rule in others if (reason := rule(instruction))), None
    )


def _invalid(draft: Draft, output: str) -> Rejection | None:
    """The original's rules for an instance, in its order."""
    if fault := draft.details.get("fault"):
        return Rejection(str(fault), _FAULTS[str(fault)])
    if output == draft.input:
        return Rejection("output_is_input", "the output is the input again")
    if not output:
        return Rejection("empty_output", "the output is empty")
    if draft.input.endswith(":") or output.endswith(":"):
        which = "output" if output.endswith(":") else "input"
        return Rejection("open_end", f"the {which} ends in a colon: something is missing")
    return None
