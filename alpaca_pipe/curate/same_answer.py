"""One answer under several instructions: a gateway's own words, an error, a stale reply; it answers none of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filter_config import ActiveFilter
from alpaca_pipe.data.arrow import StoredRows
from alpaca_pipe.similarity.words import unicode_words

RULE = "same_answer"
LEAST = 3  # instructions, of what generate made
_WORDS = 5  # a shorter answer (yes, a label, a name) may be right for many
_ONE_IN = 1000  # rows: "The capital of France is Paris." stands under three of 52,002


@dataclass(frozen=True)
class SameAnswers:
    """instructions: under how many the words of each such answer stand."""

    instructions: Mapping[str, int]

    def reason(self, example: Example) -> str | None:
        many = None if example.messages else self.instructions.get(_told(example.output))
        return f"the same answer stands under {many:,} different instructions" if many else None

    def as_filter(self) -> ActiveFilter:
        return ActiveFilter(RULE, self.reason)


def same_answers(rows: StoredRows, least: int) -> SameAnswers:
    """The answers of `_WORDS` words or more that stand under at least so many instructions, and under more than one in
    `_ONE_IN` rows. Two looks at two columns: memory holds a number for each row."""
    least = max(least, len(rows) // _ONE_IN + 1)
    often = _more_often(array("q", (hash(output) for output, _ in _answers(rows))), least)
    under: dict[str, set[str]] = {}
    if often:
        for output, instruction in _answers(rows):
            if hash(output) in often and len(output.split()) >= _WORDS:
                under.setdefault(output, set()).add(instruction)
    return SameAnswers({said: len(some) for said, some in under.items() if len(some) >= least})


def _more_often(hashes: array[int], least: int) -> set[int]:
    """Those that come at least so often."""
    found, last, times = set[int](), None, 0
    for one in sorted(hashes):
        times = times + 1 if one == last else 1
        last = one
        if times == least:
            found.add(one)
    return found


def _answers(rows: StoredRows) -> Iterator[tuple[str, str]]:
    """(words of the output, instruction) of each row that is no conversation."""
    for output, instruction, messages in rows.columns("output", "instruction", "messages"):
        if not messages:
            yield _told(output), instruction


def _told(output: str) -> str:
    """Its words, of any script: what a repair takes off, and how it is set, make no other answer."""
    return " ".join(unicode_words(output))
