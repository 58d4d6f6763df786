"""`alpaca-pipe chat --tools`: questions that are answered by thinking, asking tools and reading what they found.

Whoever is asked, the tuned model on this machine or the recipe's teacher, the form is the same (react/). The teacher is metered
as in every stage: priced, capped, each reply in the ledger.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.chat.inference import ChatModel, ChatSettings, asked, load
from alpaca_pipe.core import own_loop
from alpaca_pipe.core.completion import PromptMessage, Request
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Message, Origin
from alpaca_pipe.core.files import append_jsonl
from alpaca_pipe.core.screen import echo, json_text
from alpaca_pipe.ledger.money import exactly
from alpaca_pipe.models.trained_model import Trained
from alpaca_pipe.react.solve import Ask, Solved, solve
from alpaca_pipe.react.steps import STOP
from alpaca_pipe.react.tools import Tool

if TYPE_CHECKING:
    from alpaca_pipe.ledger.store.journal import Journal
    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.recipe.workspace import Workspace
    from alpaca_pipe.teachers.metering.metered import Metered


@dataclass
class Speaker:
    """Who answers. name: for people and for the transcript.  keys: of the requests of the question that is being answered."""

    name: str
    ask: Ask
    journal: Journal | None = None
    run: str = ""  # of the ledger: what an earlier one paid for is not paid again
    keys: list[str] = field(default_factory=list)

    def nanodollars(self) -> int:
        if self.journal is None:
            return 0
        entries = (entry for key in self.keys for entry in self.journal.entries_of(key))
        own = (entry for entry in entries if entry.run == self.run and entry.kind == "settled")
        return sum(entry.nanodollars for entry in own)


def talk_with_tools(
    who: Any, tools: Sequence[Tool], prompt: str | None, transcript: Path, as_json: bool
) -> None:
    """who: an async context manager that gives an Speaker.  One question, or those of standard input, one a line. Each is appended
    to `transcript` as a row before the next is asked. Raises UserError; Stopped after Ctrl-C."""

    async def run() -> None:
        async with who as speaker:
            names = ", ".join(tool.name for tool in tools)
            echo(f"{speaker.name}; tools: {names}", err=True)
            for question in [prompt] if prompt is not None else _questions():
                await _one(speaker, tools, question, transcript, as_json)

    try:
        own_loop.run(run())
    except KeyboardInterrupt:
        raise Stopped from None


async def _one(
    speaker: Speaker, tools: Sequence[Tool], question: str, transcript: Path, as_json: bool
) -> None:
    speaker.keys.clear()
    solved = await solve(question, tools, speaker.ask, tell=lambda said: echo(said, err=as_json))
    row = _row(solved, question, speaker)
    append_jsonl(transcript, [row])
    if as_json:
        echo(json_text(row))
    elif solved.answer is None:
        echo("(no answer came in time)")
    spent = row["nanodollars"]
    if speaker.journal is not None:
        echo(f"{len(speaker.keys)} requests, ${exactly(spent)}; kept in {transcript}", err=True)


def _row(solved: Solved, question: str, speaker: Speaker) -> dict[str, Any]:
    last = speaker.keys[-1] if speaker.keys else speaker.name
    origin = Origin("generated" if speaker.keys else "imported", last)
    return solved.example(origin).to_row() | {
        "question": question,
        "answer": solved.answer,
        "requests": list(speaker.keys),
        "nanodollars": speaker.nanodollars(),
    }


def _questions() -> Iterator[str]:
    """Line by line; in a terminal until Ctrl-D."""
    while True:
        try:
            line = input("> ") if sys.stdin.isatty() else sys.stdin.readline()
        except EOFError:
            return
        if not line and not sys.stdin.isatty():
            return
        if line.strip() in ("/quit", "/exit"):
            return
        if line.strip():
            yield line.strip()


def new_transcript(workspace: Path, recipe: str) -> Path:
    return workspace / recipe / "chats" / f"tools-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.jsonl"


@asynccontextmanager
async def tuned_speaker(trained: Trained, step_tokens: int) -> AsyncIterator[Speaker]:
    """The tuned model, greedily. step_tokens: of one step; what is longer is cut, and said to be."""
    model = load(trained, lambda said: echo(said, err=True))
    how = ChatSettings(0.0, step_tokens)

    async def ask(system: str, said: Sequence[Message]) -> str:
        example = asked_of(model, system, said)
        found = await asyncio.to_thread(model.answer, example, how)
        if found.note:
            echo(found.note, err=True)
        return found.text

    yield Speaker(f"{trained.recipe}: the {trained.form} of run {trained.run}", ask)


def asked_of(model: ChatModel, system: str, said: Sequence[Message]) -> Any:
    """As its template can write it: one trained on single exchanges is told all that was said in one instruction."""
    if model.holds_conversations:
        *before, last = said
        return asked(last.text, "", system, before)
    return asked("\n\n".join([system, *(one.text for one in said)]))


@asynccontextmanager
async def teacher_speaker(
    loaded: Recipe, workspace: Workspace, step_tokens: int
) -> AsyncIterator[Speaker]:
    """The recipe's teacher, metered. Raises UserError where the recipe has none, or no price is known."""
    from alpaca_pipe.ledger.store.journal import Journal
    from alpaca_pipe.recipe.locks import held
    from alpaca_pipe.recipe.missing_ledger import refuse_missing_ledger
    from alpaca_pipe.teachers.factory import connect

    table = loaded.tables.get("teacher")
    if table is None:
        raise UserError(f"{loaded.name} has no 'teacher:'", "add one, or leave --teacher out")
    refuse_missing_ledger(workspace)
    own = workspace.of(loaded.name)
    run = f"chat-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    with held(own / ".lock", str(own)), Journal.open(workspace.ledger) as journal:
        async with AsyncExitStack() as stack:
            metered = await stack.enter_async_context(
                connect(
                    table.online(),
                    journal=journal,
                    caps=workspace.caps(loaded),
                    recipe=loaded.name,
                    run=run,
                    stage="chat",
                    log=own / "chat.log",
                    say=lambda said: echo(said, err=True),
                )
            )
            keys: list[str] = []
            ask = _asking(metered, keys, step_tokens)
            yield Speaker(f"{loaded.name}: the teacher {table.called}", ask, journal, run, keys)


def _asking(metered: Metered, keys: list[str], step_tokens: int) -> Ask:
    decoding: dict[str, Any] = {"max_tokens": step_tokens}
    if "stop" in metered.takes:
        decoding["stop"] = list(STOP)
    if "temperature" in metered.takes:
        decoding["temperature"] = 0

    async def ask(system: str, said: Sequence[Message]) -> str:
        told = [PromptMessage("system", system)]
        told += [
            PromptMessage("assistant" if one.role == "assistant" else "user", one.text)
            for one in said
        ]
        reply = await metered.ask(Request(tuple(told), decoding))
        keys.append(reply.key)
        if reply.finish in ("refused", "failed", "content_filter"):
            raise UserError(f"the teacher gave no answer ({reply.finish}): {reply.text[:200]}", "")
        if reply.finish == "length":
            echo(f"[cut off after {step_tokens} tokens]", err=True)
        return reply.text

    return ask
