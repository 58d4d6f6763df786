"""Preferences from rows: foreign ones with a chosen and a rejected answer or a label, and rows of ours that kept the other
answer in their origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example, Message, Origin, Rejected
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.reading import Aside, ReadingNotes, judged, strict
from alpaca_pipe.data.row_reader import RowReader
from alpaca_pipe.data.shapes.base import About, EqualAnswers, NotARow, NotHeld
from alpaca_pipe.data.shapes.columns import Columns
from alpaca_pipe.data.source_kinds import HubId

EQUAL = "equal_answers"  # the rule under which a pair is set aside whose sides say the same


class _PreferenceReader(RowReader):
    """Reads each row as a preference; NotARow for one that prefers nothing."""

    def read(self, value: Any, source: str) -> list[Example | Preference | Rejected]:
        _check_sides(value)
        found: list[Example | Preference | Rejected] = []
        for one in self.judged(value, source):
            if isinstance(one, Example):
                pair = preference_of(one)
                if pair is None:
                    raise NotARow(
                        "the row has no rejected answer and no label, so nothing is preferred to anything",
                        _CURE,
                    )
                one = replace(pair, origin=replace(pair.origin, kind="imported", source=source))
            found.append(one)
        return found

    def _rule_of(self, reason: NotHeld) -> str:
        return EQUAL if isinstance(reason, EqualAnswers) else super()._rule_of(reason)

    def _labelled(
        self, one: Example, label: bool, source: str, about: About
    ) -> Example | Preference | Rejected:
        *prompt, answer = one.conversation()
        try:
            return Preference.labelled(prompt, [answer], label, one.origin, one.system)
        except ValueError as error:
            raise NotARow(f"of its answer: {error}", "give it an answer, or remove it") from None


def read_preferences(
    source: Path | HubId,
    *,
    keep_going: bool | None = None,
    columns: Columns | None = None,
    split: str | None = None,
    first: int | None = None,
    aside: Aside = lambda rejected: None,
    told: ReadingNotes | None = None,
) -> Iterator[Preference]:
    """The preferences of a file, a folder or a hub id, in order, each once. A pair whose sides are the same goes `aside` with
    rule `equal_answers`. A row without a rejected answer is an error, as one that cannot be read; with `keep_going` (as of
    `read`) both go `aside` too. first: reads so many rows only."""
    told = told if told is not None else ReadingNotes()
    found = judged(source, None, "all", columns, split, told, _PreferenceReader)
    known = set[str]()
    for one in strict(islice(found, first), keep_going, aside, str(source)):
        if isinstance(one, Preference) and one.id not in known:
            known.add(one.id)
            yield one


def preference_of(row: Example) -> Preference | None:
    """Of a row whose origin kept an answer that is worse: one that was rejected, or the draft before its revision. None where
    there is none, or the two are the same."""
    details = row.origin.details
    if isinstance(kept := details.get("rejected"), list | tuple) and kept:
        worse = [Message.from_row(one) for one in kept if isinstance(one, Mapping)]
    elif isinstance(draft := details.get("draft"), str) and draft.strip():
        worse = [Message("assistant", draft)]
    else:
        return None
    conversation = row.conversation()
    asked = next(
        (
            place
            for place in range(len(conversation) - 1, -1, -1)
            if conversation[place].role == "user"
        ),
        None,
    )
    if asked is None:
        return None
    origin = Origin(row.origin.kind, row.origin.source, (row.id,))
    if row.messages:
        prompt, better, given = conversation[: asked + 1], conversation[asked + 1 :], ""
    else:
        prompt, better, given = (Message("user", row.instruction),), conversation[-1:], row.input
    try:
        return Preference.pair(prompt, better, worse, origin, row.system, given)
    except ValueError:
        return None


def _check_sides(value: Any) -> None:
    """Raises NotARow for a side that is there and empty."""
    if not isinstance(value, Mapping):
        return
    for side in ("chosen", "rejected"):
        if side in value and not _says_something(value[side]):
            raise NotARow(f"its {side} answer is empty, so nothing is preferred to anything", _CURE)


def _says_something(side: Any) -> bool:
    if isinstance(side, list | tuple):
        return bool(side) and _says_something(side[-1])
    if isinstance(side, Mapping):
        return any(side.get(key) for key in ("content", "value", "text", "tool_calls"))
    return bool(str(side).strip()) if side is not None else False


_CURE = "give it one, or remove the row"
