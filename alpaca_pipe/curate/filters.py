"""The filters: each one function that answers with its objection to an example, or None."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, create_model

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.table import Table
from alpaca_pipe.curate import defects
from alpaca_pipe.data import stanford

Filter = Callable[..., str | None]  # (example, **settings) -> objection


def min_words(example: Example, least: int = 4) -> str | None:
    """Stanford drops instructions of 3 words or fewer."""
    count = len(example.instruction.split())
    return f"the instruction has {count} words, at least {least} wanted" if count < least else None


def max_words(example: Example, most: int = 150) -> str | None:
    """Stanford drops instructions of more than 150 words."""
    count = len(example.instruction.split())
    return f"the instruction has {count} words, at most {most} wanted" if count > most else None


def media(example: Example) -> str | None:
    """Asks for something to be seen, heard, drawn or opened: Stanford's 18 words."""
    return stanford.media(example.instruction)


def write_a_program(example: Example) -> str | None:
    """Stanford's rule: such instructions seldom say whether the program or its output is wanted."""
    return stanford.write_a_program(example.instruction)


def punctuation_start(example: Example) -> str | None:
    """Stanford's rule: the first character is ASCII punctuation."""
    return stanford.punctuation_start(example.instruction)


def ascii_start(example: Example) -> str | None:
    """Stanford's rule against other languages: the first character is not ASCII."""
    return stanford.ascii_start(example.instruction)


def empty_output(example: Example) -> str | None:
    """Nothing in the output, or only a word that stands for nothing."""
    if not example.output.strip():
        return "the output is empty"
    spelled = defects.is_no_output(example.output)
    return f"the output only says '{' '.join(example.output.split())}'" if spelled else None


def leaked_task(example: Example) -> str | None:
    """The output goes on with the next task of the reply."""
    header = defects.leaked_header(example.output)
    return f"the output holds the next task: '{header}'" if header else None


def refusal(example: Example) -> str | None:
    """The output declines the task. Strict: apologies and excuses that were asked for stay."""
    words = defects.refusal(example.output)
    return f"the output declines: '{words}'" if words else None


def output_is_input(example: Example) -> str | None:
    """The output repeats the whole input, to the letter: a change of case or of blanks may be the task."""
    same = bool(example.input.strip()) and example.output.strip() == example.input.strip()
    return "the output is the input again" if same else None


def output_is_instruction(example: Example) -> str | None:
    """The output repeats the instruction."""
    same = example.output.strip() == example.instruction.strip()
    return "the output is the instruction again" if same else None


def code_fence(example: Example) -> str | None:
    """A ``` that is opened and never closed: the code was cut off."""
    fences = defects.fences(example.output)
    return f"the output has {fences} code fences, one is not closed" if fences % 2 else None


def control_characters(example: Example) -> str | None:
    """Bytes that no text holds: C0 and C1 controls but tab and line ends, and U+FFFD, the mark of a failed decoding."""
    for name in ("instruction", "input", "output", "system"):
        if found := defects.control_character(getattr(example, name)):
            return f"the {name} holds U+{ord(found):04X}"
    return None


def truncated(example: Example, least_words: int = 12) -> str | None:
    """Prose of `least_words` or more that stops after a comma or a word that needs another one."""
    last = defects.open_end(example.output, least_words)
    return f"the output stops in mid-sentence, at '{last}'" if last else None


def repetition(example: Example, most: float = 0.5, least_words: int = 30) -> str | None:
    """A loop, which small models fall into: the share of five-word runs in the output that were there before.

    Rae et al. 2021 (Gopher, table A1) draw the line at 0.15 of the characters, for web pages. Instruction data holds
    songs, drills and code: on the 52K 0.3 hits 49 rows, most of them sound; 0.5 hits 8.
    """
    share = defects.repeated_share(example.output, least_words)
    return f"{share:.0%} of the output repeats itself, at most {most:.0%} wanted" if share > most else None


ALL: tuple[Filter, ...] = (
    min_words, max_words, media, write_a_program, punctuation_start, ascii_start, empty_output, control_characters,
    leaked_task, refusal, output_is_input, output_is_instruction, code_fence, repetition, truncated)
OFF = (punctuation_start, ascii_start)  # Stanford's for English only; a question may well start with a quotation


@dataclass(frozen=True)
class Rule:
    """A filter with its settings."""

    name: str
    objection: Callable[[Example], str | None]


class _Switches(Table):
    """`name: true | false | {setting: value}` for each filter."""

    def rules(self) -> tuple[Rule, ...]:
        """The filters that are on, in the order of the list above."""
        return tuple(_rule(one, settings) for one in ALL if (settings := getattr(self, one.__name__)) is not None)


def _rule(one: Filter, settings: Table) -> Rule:
    given = settings.model_dump()
    return Rule(one.__name__, lambda example: one(example, **given))


def first_objection(example: Example, rules: Iterable[Rule]) -> tuple[str, str] | None:
    """(rule, reason) of the first filter that objects."""
    answers: Iterator[tuple[str, str | None]] = ((rule.name, rule.objection(example)) for rule in rules)
    return next(((name, reason) for name, reason in answers if reason), None)


def _settings(one: Filter) -> type[Table]:
    """The model of a filter's settings: its parameters after the example, with their types and defaults."""
    parameters = list(inspect.signature(one, eval_str=True).parameters.values())[1:]
    fields: dict[str, Any] = {
        p.name: (Annotated[p.annotation, Field(ge=0)], p.default) for p in parameters}
    name = "".join(part.capitalize() for part in one.__name__.split("_"))
    return create_model(name, __base__=Table, __doc__=one.__doc__, **fields)


def _switch(one: Filter) -> tuple[Any, Any]:
    settings = _settings(one)

    def read(value: Any) -> Any:
        return settings() if value is True else None if value is False else value

    kind: Any = Annotated[settings | None, BeforeValidator(read, json_schema_input_type=bool | settings),
                     Field(description=inspect.cleandoc(one.__doc__ or "").split("\n")[0])]
    return kind, None if one in OFF else settings()


if TYPE_CHECKING:
    Filters = _Switches
else:
    Filters = create_model("Filters", __base__=_Switches, **{one.__name__: _switch(one) for one in ALL})
