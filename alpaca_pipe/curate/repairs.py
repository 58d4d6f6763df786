"""The repairs: each one function that answers with the row's texts as they should be, or None; what cannot be mended
safely is left to the filters. A mended row is a new row, with its parent's id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from alpaca_pipe.core.example import Example, Message
from alpaca_pipe.core.thinking import answer_of
from alpaca_pipe.curate.detectors.copies import without_instruction
from alpaca_pipe.curate.detectors.invisible import cleaned
from alpaca_pipe.curate.detectors.next_task import before_next_task, without_separator
from alpaca_pipe.curate.detectors.placeholders import MARK, is_no_input, without_marks
from alpaca_pipe.curate.detectors.texts import FIELDS, first_look

Texts = Mapping[str, str]  # field -> its text from now on
Repair = Callable[[Example], Texts | None]


def invisible(example: Example) -> Texts | None:
    """Control characters, and characters without width where their script does not need them, are taken out."""
    look = first_look(example)
    if look.kinds and not look.may_hold_controls:
        return None
    return {
        name: text
        for name in FIELDS
        if (text := cleaned(before := getattr(example, name))) != before
    } or None


def thinking(example: Example) -> Texts | None:
    """An output loses the part named thinking before it, and what a mark of a chat template ends."""
    answer = answer_of(example.output)
    return {"output": answer} if answer and answer != example.output else None


def no_input(example: Example) -> Texts | None:
    """An input that only says that there is none ("No input", "N/A", 无输入) becomes empty."""
    return {"input": ""} if is_no_input(example.input, example.instruction) else None


def instruction_again(example: Example) -> Texts | None:
    """An input that begins or ends with the whole instruction loses it."""
    rest = without_instruction(example)
    return None if rest is None else {"input": rest}


def next_task(example: Example) -> Texts | None:
    """An output that goes on with the next task of the reply ends before it."""
    kept = before_next_task(example)
    return {"output": kept} if kept else None


def noinput_mark(example: Example) -> Texts | None:
    """A `<noinput>` on a line of its own before or after a text goes, but where the task is about such marks."""
    found = {
        name: text
        for name in ("input", "output")
        if (text := without_marks(before := getattr(example, name))) != before
        and (text or name == "input")
    }
    return found if found and not MARK.search(example.instruction) else None


def separator(example: Example) -> Texts | None:
    """An output that ends in the line between two tasks (#, ***, 111) loses it."""
    kept = without_separator(example)
    return None if kept is None else {"output": kept}


ALL: tuple[Repair, ...] = (
    invisible,
    thinking,
    no_input,
    instruction_again,
    next_task,
    noinput_mark,
    separator,
)


def mended(example: Example) -> Example | None:
    """The row after all repairs, its origin naming them in order; None: it needs none."""
    rules: list[str] = []
    row = _mended_turns(example, rules) if example.messages else _mended_exchange(example, rules)
    if not rules:
        return None
    details = {**example.origin.details, "repair": ", ".join(rules)}
    origin = replace(example.origin, parents=(example.id,), details=details)
    return replace(row, origin=origin)


def _mended_exchange(row: Example, rules: list[str]) -> Example:
    for repair in ALL:
        if texts := repair(row):
            row = Example.of(
                **({name: getattr(row, name) for name in FIELDS} | {**texts}), origin=row.origin
            )
            if repair.__name__ not in rules:
                rules.append(repair.__name__)
    return row


def _mended_turns(row: Example, rules: list[str]) -> Example:
    """Each learned answer with what was asked before it; of every other message only what nobody sees."""
    asked, told = "", list[Message]()
    for message in row.messages:
        if message.is_learned:
            turn = _mended_exchange(Example.of(asked, "", message.text, row.origin), rules)
            asked, text = turn.instruction, turn.output
        elif (text := cleaned(message.text)) != message.text and "invisible" not in rules:
            rules.append("invisible")
        if message.role == "user":
            asked = text
        told.append(replace(message, text=text))
    system = cleaned(row.system)
    if system != row.system and "invisible" not in rules:
        rules.append("invisible")
    return Example.of_messages(told, row.origin, system) if rules else row


def repaired(examples: Iterable[Example]) -> Iterator[tuple[Example, Example | None]]:
    """(row, what it was before): the second is None where nothing was repaired. Ids come out unique."""
    taken: set[str] = set()
    for example in examples:
        row = mended(example)
        free = row or example
        name = free_id(free.id, taken)
        yield free if name == free.id else replace(free, id=name), example if row else None


def free_id(id: str, taken: set[str]) -> str:
    """The same id, and takes it; where it is taken, `id#2`, `id#3` ..."""
    count, name = 1, id
    while name in taken:
        count += 1
        name = f"{id}#{count}"
    taken.add(name)
    return name
