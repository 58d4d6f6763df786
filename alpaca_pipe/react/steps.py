"""The form: what a model is told of it, and what its reply says in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from alpaca_pipe.react.tools import Tool

OBSERVATION = "Observation:"
STOP = (f"\n{OBSERVATION}",)

_FORM = """Answer the question. You may use these tools:

{tools}

Write in this form, one step at a time:

Thought: what you need to know next
Action: tool[what to give it]

Then stop: you are told what the tool found as "Observation: ...". Do not write observations yourself. When you know the answer, write:

Thought: I know the answer.
Answer: the answer

For example:

Question: What is 12 percent of 250?
Thought: I need to calculate 12 percent of 250.
Action: calculator[250 * 12 / 100]
Observation: 30
Thought: I know the answer.
Answer: 30"""

_MARK = re.compile(
    r"^[ \t*_]*(thought|action|observation|(?:final )?answer)[ \t*_]*:[ \t*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_CALL = re.compile(r"\A`*([A-Za-z_]\w*)`*\s*[\[(](.*)[\])]`*\s*\Z", re.DOTALL)


class ReactStep(NamedTuple):
    """What a reply says. tool, given: of an action; answer: the end. Of neither, the reply was not in the form.

    text: the reply as far as it counts: an observation that the model made up is cut off, with all after it.
    """

    thought: str
    tool: str
    given: str
    answer: str | None
    text: str


def system_text(tools: Sequence[Tool]) -> str:
    return _FORM.format(tools="\n".join(f"- {tool.name}[...]: {tool.says}" for tool in tools))


def read_step(reply: str) -> ReactStep:
    """The first action of a reply, or its answer, whichever comes first."""
    marks = list(_MARK.finditer(reply))
    thought = ""
    for place, mark in enumerate(marks):
        end = marks[place + 1].start() if place + 1 < len(marks) else len(reply)
        said = reply[mark.end() : end].strip()
        match mark[1].lower():
            case "thought":
                thought = said
            case "action":
                call = _CALL.match(said)
                tool, given = (call[1], call[2].strip()) if call else (said.split("\n")[0], "")
                return ReactStep(thought, tool, given, None, reply[:end].strip())
            case "observation":
                return ReactStep(thought, "", "", None, reply[: mark.start()].strip())
            case _:
                answer = reply[mark.end() : _next_observation(marks, place, reply)].strip()
                return ReactStep(thought, "", "", answer, f"{reply[: mark.end()].strip()} {answer}")
    return ReactStep(thought, "", "", None, reply.strip())


def _next_observation(marks: Sequence[re.Match[str]], place: int, reply: str) -> int:
    later = (one.start() for one in marks[place + 1 :] if one[1].lower() != "answer")
    return next(later, len(reply))


def observed(step: ReactStep, tools: Sequence[Tool]) -> str:
    """What the model is told after a step that is no answer."""
    if not step.tool:
        return f'{OBSERVATION} error: write "Action: tool[what to give it]" or "Answer: the answer"'
    tool = next((one for one in tools if one.name == step.tool), None)
    if tool is None:
        named = ", ".join(one.name for one in tools)
        return f"{OBSERVATION} error: there is no tool {step.tool[:60]!r}, only {named}"
    return f"{OBSERVATION} {tool.answer(step.given)}"
