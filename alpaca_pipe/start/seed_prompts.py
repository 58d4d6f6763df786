"""Seed tasks out of a user's own notes: a passage in each request, three tasks asked for, and what is wrong with those.

What is asked depends on the passages, the domain and the request's number alone, so the same command asks the same again and is
answered by what is stored.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.example import example_id
from alpaca_pipe.generate.novelty import Pool, unsound
from alpaca_pipe.generate.parsing.reply import Draft, Rejection, read_tasks
from alpaca_pipe.generate.seeds.seed_file import template
from alpaca_pipe.generate.seeds.seeds import SeedRow, read_seeds
from alpaca_pipe.generate.sources.ground import Ground
from alpaca_pipe.generate.sources.groundedness import ungrounded
from alpaca_pipe.generate.sources.passages import chunks
from alpaca_pipe.generate.styles.alpaca import task_list, task_row, works_in
from alpaca_pipe.generate.styles.base import decoding
from alpaca_pipe.generate.styles.documents import SPEAKS_OF_IT

TASKS = 3  # asked for in one request
PASSAGE = 250  # words, at most
_MAX_TOKENS = 1024
_SHOWN = (0, 1, 2, 8)  # rows of the template: with and without labels, found, answered, declined
_ALSO = ("topic", "classification")

_SYSTEM = (
    "You write seed tasks: a few examples after which many more are written, to train a language model. You add nothing "
    "to what the notes say."
)

_WANTED = """These are seed tasks of the form and the tone that are wanted; what they are about does not matter here:

{shown}

This is a passage of {file}, notes of the people who will use the model:

<passage>
{passage}
</passage>

Write {tasks} seed tasks out of these notes, or fewer where they do not hold as many:

- Each is a task that these people, or those who write to them, really have. Let them differ in kind: a question, a choice among \
named labels, something to find in a text, a reply to write, a text to reword, a calculation.
- The instruction has one or two sentences. It does not speak of a passage, notes or a document.
- The input is a short text or case that the instruction works on, or "" if none is needed.
- The output is the correct and complete answer, at most 100 words. Numbers and names stand in it as in the notes or in the input.
- The topic is one to three words. classification is "yes" where the output is one of a few labels, else "no".
- Where the notes hold nothing to ask about, answer {{"tasks": []}}.

Answer with the JSON object alone."""


@dataclass(frozen=True)
class Drafted:
    """A draft to be decided on. id: of its texts; passage: what it rests on."""

    id: str
    row: SeedRow
    passage: str


@dataclass(frozen=True)
class DraftRequest:
    """One request for drafts. number: from 0 on; each passage in turn, then all of them once more."""

    number: int
    ground: Ground
    request: Request


def passages_of(paths: Sequence[Path]) -> tuple[Ground, ...]:
    """The passages of the notes, each known by its path as the user wrote it and its characters. Files too short for one are
    left out; raises UserErrors for those that cannot be read, and UserError where nothing is found."""
    found: dict[str, Ground] = {}
    nothing: UserError | None = None
    for path in paths:
        try:
            for chunk in chunks([path], PASSAGE):
                file = (path / chunk.file if path.is_dir() else path).as_posix()
                ground = Ground(chunk.text, f"{file}#{chunk.start}-{chunk.end}", {"file": file})
                found.setdefault(" ".join(chunk.text.split()), ground)
        except UserErrors:
            raise
        except UserError as error:
            nothing = error
    if not found and nothing:
        raise nothing
    return _in_turn(found.values())


def _in_turn(grounds: Iterable[Ground]) -> tuple[Ground, ...]:
    """The first passage of each file, then the second of each ...: a few drafts come from all of the notes."""
    seen: Counter[str] = Counter()
    places = []
    for place, ground in enumerate(grounds):
        places.append((seen[ground.details["file"]], place, ground))
        seen[ground.details["file"]] += 1
    return tuple(ground for _, _, ground in sorted(places, key=lambda one: one[:2]))


def question(
    number: int, grounds: Sequence[Ground], domain: str, takes: frozenset[str]
) -> DraftRequest:
    """The request of a number; the same passage again is another draw."""
    ground = grounds[number % len(grounds)]
    seeds = read_seeds(template())
    shown = [
        task_row(seeds[place])
        | {
            "topic": seeds[place].topic,
            "classification": "yes" if seeds[place].classification else "no",
        }
        for place in _SHOWN
    ]
    text = _WANTED.format(
        shown=json.dumps({"tasks": shown}, ensure_ascii=False, indent=1),
        tasks=TASKS,
        file=ground.details["file"],
        passage=ground.text,
    )
    request = Request(
        (PromptMessage("system", works_in(_SYSTEM, domain)), PromptMessage("user", text)),
        decoding(takes, {"max_tokens": _MAX_TOKENS}, temperature=0.7, response_format=_schema()),
        sample=number // len(grounds),
    )
    return DraftRequest(number, ground, request)


def drafts_of(
    asked: DraftRequest, reply: Completion, pool: Pool, teacher: str
) -> tuple[list[Drafted], list[Rejection]]:
    """What of a reply can be put before the user, and why the rest cannot. pool: the seeds, and the drafts before these; those
    that may stay are let in."""
    drafts, rejected = [], []
    for piece in read_tasks(reply.for_the_reader(), _ALSO):
        if not isinstance(piece, Draft):
            rejected.append(Rejection(piece.rule, piece.reason))
            continue
        fault = _wrong(piece, asked.ground.text)
        if fault is None:
            verdict = pool.judge(piece, f"{asked.number}")
            fault = verdict if isinstance(verdict, Rejection) else None
        if fault:
            rejected.append(fault)
        else:
            drafts.append(_drafted(piece, asked.ground, teacher))
    return drafts, rejected


def id_of(row: SeedRow) -> str:
    """The id that its example has."""
    return example_id(row.instruction, row.input, row.output, "")


def reworded(draft: Drafted, **texts: Any) -> SeedRow:
    """The row as the user edited it; where it came from stays."""
    return SeedRow.model_validate({**draft.row.model_dump(), **texts})


def _wrong(draft: Draft, passage: str) -> Rejection | None:
    if fault := unsound(draft):
        return fault
    if not draft.input and (found := SPEAKS_OF_IT.search(draft.instruction)):
        return Rejection("speaks_of_passage", f"the instruction says '{found.group()}'")
    if word := ungrounded(draft.output or "", f"{passage}\n\n{draft.input}\n\n{draft.instruction}"):
        return Rejection(
            "ungrounded", f"the output says '{word}', which neither the notes nor the task hold"
        )
    return None


def _drafted(draft: Draft, ground: Ground, teacher: str) -> Drafted:
    row = SeedRow(
        instruction=draft.instruction,
        input=draft.input,
        output=draft.output or "",
        topic=str(draft.details.get("topic", "")),
        classification=str(draft.details.get("classification", "")).lower() in ("yes", "true"),
        source=ground.source,
        drafted_by=teacher,
    )
    return Drafted(id_of(row), row, ground.text)


def _schema() -> dict[str, Any]:
    """The list of tasks, each with a topic and whether it has labels."""
    wanted = task_list()
    item = wanted["json_schema"]["schema"]["properties"]["tasks"]["items"]
    item["properties"] |= {
        "topic": {"type": "string"},
        "classification": {"type": "string", "enum": ["yes", "no"]},
    }
    item["required"] = [*item["required"], *_ALSO]
    return wanted
