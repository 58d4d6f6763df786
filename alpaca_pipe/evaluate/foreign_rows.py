"""Rows of others, to tell whether a tune is better on more than the rows of its own teacher: what of a file can be scored, without
what was trained on."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.data.reading import read
from alpaca_pipe.similarity.overlap import Overlap
from alpaca_pipe.similarity.words import unicode_words

KEY = "evaluate.foreign"


class ForeignRows(NamedTuple):
    """left_out: rows of the file, by why they are not scored: unreadable, without_answer, repeated, trained_on. The file has more
    than `rows` and these, where it is longer than is asked for."""

    name: str
    rows: list[Example]
    left_out: dict[str, int]

    def to_summary(self) -> dict[str, Any]:
        return {"file": self.name, "not_scored": {k: n for k, n in self.left_out.items() if n}}


def foreign_rows(path: Path, most: int, trained: Iterable[Example] = ()) -> ForeignRows:
    """`most` rows of any instruction file, those whose texts hash lowest, so that the file's order plays no part. Of twice as many
    those go that a row of `trained` holds: the same question, or a long run of the same words (similarity/overlap.py).

    UserError for a file without a row to score, and where all that were looked at were trained on.
    """
    left_out = dict.fromkeys(("unreadable", "without_answer", "repeated", "trained_on"), 0)
    seen: set[str] = set()

    def usable() -> Iterator[Example]:
        for row in read(path, keep_going=True, aside=aside):
            key = _question(row)
            reason = (
                "without_answer" if not row.answered.strip() else "repeated" if key in seen else ""
            )
            seen.add(key)
            if reason:
                left_out[reason] += 1
            else:
                yield row

    def aside(row: Rejected) -> None:
        left_out["unreadable"] += 1

    found = heapq.nsmallest(2 * most, usable(), key=_lot)
    if not found:
        raise UserError(
            f"{KEY}: {path.name} has no row with a question and an answer that can be read",
            "name a file of instructions with their answers, or leave the key out",
        )
    known = _trained_on(found, trained)
    left_out["trained_on"] = len(known)
    rows = [row for place, row in enumerate(found) if place not in known][:most]
    if not rows:
        raise UserError(
            f"{KEY}: every one of the {len(found)} rows looked at in {path.name} is among the rows that were trained on",
            "name a file that the training has not seen, or leave the key out",
        )
    return ForeignRows(path.name, rows, left_out)


def _lot(row: Example) -> bytes:
    return sha256(f"{row.asked}\0{row.answered}".encode()).digest()


def _question(row: Example) -> str:
    """Its words, as a digest: two questions that differ in case and punctuation alone are one."""
    return sha256(" ".join(unicode_words(row.asked)).encode()).hexdigest()


def _trained_on(found: list[Example], trained: Iterable[Example]) -> set[int]:
    """Places of the rows that a trained one holds. Two readings: which runs of words the trained rows share with these, and then
    which of these have one of them, so that memory grows with the rows that are looked at alone."""
    runs = Overlap.of(("", text) for row in found for text in (row.asked, row.answered))
    questions, shared = set[str](), set[str]()
    for row in trained:
        questions.add(_question(row))
        shared |= _runs(row, runs)
    return {
        place
        for place, row in enumerate(found)
        if _question(row) in questions or not shared.isdisjoint(_runs(row, runs))
    }


def _runs(row: Example, runs: Overlap) -> set[str]:
    return runs.runs_in(row.asked) | runs.runs_in(row.answered, answer=True)
