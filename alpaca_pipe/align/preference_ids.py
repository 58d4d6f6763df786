"""Preferences as token ids: prompt and answers tokenised apart, as they are when the model is asked and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from alpaca_pipe.core.example import Example, Message, Rejected
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.models.loss_mask import EncodedRow, Encoder


@dataclass(frozen=True)
class PairIds:
    """A pair in token ids; each answer ends in its end token, but for one that was cut off. Learned are the answers, the prompt
    never."""

    id: str
    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    @property
    def longest(self) -> int:
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))

    def swapped(self) -> PairIds:
        return replace(self, chosen=self.rejected, rejected=self.chosen)


@dataclass(frozen=True)
class LabelledIds:
    """One answer in token ids, its end token last, and whether it is a good one."""

    id: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    label: bool

    @property
    def longest(self) -> int:
        return len(self.prompt) + len(self.answer)


def pair_ids(
    rows: Sequence[Preference], encoder: Encoder, max_length: int
) -> Iterator[PairIds | Rejected]:
    """One for each row of chosen and rejected, in order, or why it is left out. An answer of which its row says that it was cut
    off has no end token: the model never gave one, and is not to learn when to."""
    better = encoder.encode([_told(row, row.chosen) for row in rows], max_length)
    worse = encoder.encode([_told(row, row.rejected) for row in rows], max_length)
    for row, one, other in zip(rows, better, worse, strict=True):
        chosen, rejected = _ended(row)
        first, second = _split(one, chosen), _split(other, rejected)
        if isinstance(first, _Unfit) or isinstance(second, _Unfit):
            fault = first if isinstance(first, _Unfit) else second
            assert isinstance(fault, _Unfit)
            yield Rejected(str(row.to_row()), fault.rule, fault.reason)
        elif first.prompt != second.prompt:
            why = "the template writes the prompt otherwise before one answer than before the other"
            yield Rejected(str(row.to_row()), "template", why)
        elif first.answer == second.answer:
            yield Rejected(str(row.to_row()), "equal_answers", "both answers are the same tokens")
        else:
            yield PairIds(row.id, first.prompt, first.answer, second.answer)


def labelled_ids(
    rows: Iterable[Preference], encoder: Encoder, max_length: int
) -> Iterator[LabelledIds | Rejected]:
    """One for each answer: of a pair two, the chosen one good and the rejected one bad."""
    told = [
        (row, name, answer, label, ended)
        for row in rows
        for name, answer, label, ended in (
            (f"{row.id}+", row.chosen, True, _ended(row)[0]),
            (f"{row.id}-", row.rejected, False, _ended(row)[1]),
            (row.id, row.answer, row.label, True),
        )
        if answer
    ]
    found = encoder.encode([_told(row, answer) for row, _, answer, _, _ in told], max_length)
    for (row, name, _, label, ended), one in zip(told, found, strict=True):
        found_in = _split(one, ended)
        if isinstance(found_in, _Unfit):
            yield Rejected(str(row.to_row()), found_in.rule, found_in.reason)
        else:
            yield LabelledIds(name, found_in.prompt, found_in.answer, bool(label))


def _ended(row: Preference) -> tuple[bool, bool]:
    """Whether the chosen and the rejected answer ended by themselves, as far as the row says it: pairs: does."""
    match row.origin.details.get("ended"):
        case [bool(chosen), bool(rejected)]:
            return chosen, rejected
        case _:
            return True, True


def prompt_ids(rows: Sequence[Preference], encoder: Encoder) -> list[tuple[int, ...]]:
    """What the model is given to answer, of rows that can be written."""
    return [tuple(ids) for ids in encoder.prompts([asked_as_row(row) for row in rows])]


def asked_as_row(row: Preference) -> Example:
    """The prompt as a row, with whichever answer it has."""
    return _told(row, row.chosen or row.answer)


def _told(row: Preference, answer: Sequence[Message]) -> Example:
    """The row with this answer; what was answered before is context, and not learned."""
    before = [replace(one, learned=False) if one.role == "assistant" else one for one in row.prompt]
    plain = len(before) == 1 and len(answer) == 1 and before[0].is_plain and answer[0].is_plain
    if plain:
        return Example.of(before[0].text, row.input, answer[0].text, row.origin, row.system)
    if row.input:
        before[-1] = replace(before[-1], text=f"{before[-1].text}\n\n{row.input}")
    return Example.of_messages((*before, *answer), row.origin, row.system)


class _Side(NamedTuple):
    prompt: tuple[int, ...]
    answer: tuple[int, ...]


class _Unfit(NamedTuple):
    rule: str
    reason: str


def _split(row: EncodedRow | Rejected, ended: bool = True) -> _Side | _Unfit:
    """Prompt and answer of a row whose one learned stretch ends it; ended: with its end token."""
    if isinstance(row, Rejected):
        return _Unfit(row.rule, row.reason)
    spans = row[-1].spans()
    if len(row) > 1 or len(spans) != 1 or spans[0][1] != len(row[-1].ids):
        return _Unfit("template", "its answer is of several messages, which cannot be compared")
    first, _ = spans[0]
    return _Side(row[-1].ids[:first], row[-1].ids[first : len(row[-1].ids) if ended else -1])
