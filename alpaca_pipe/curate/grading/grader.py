"""Grades as they are asked for and read, and which rows go by them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from typing import Any

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filter_config import ActiveFilter
from alpaca_pipe.curate.grading.config import BYTES_A_TOKEN, Grading
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.rounds import USUAL, together

RULE = "grade"
_TRIED = (
    32  # rows in the first round: where none of their grades can be read, nothing more is paid for
)
_TEMPLATE_TOKENS = 44  # around a row that is trained on, as in train/cost_estimate.py

_NUMBER = r"(-?\d+(?:\.\d+)?)(?![\d.]*\d)(?!,\d)(?:\s*(?:/|out of)\s*(\d+))?"
_KEYED = re.compile(rf'["\']?grade["\']?\s*:\s*["\']?{_NUMBER}["\']?\s*[,}}\n]', re.IGNORECASE)
_SAID = re.compile(
    rf"""(?:^[\s*_#"'(]*|\b(?:grade|score|rating)\b\W*(?:(?:is|of|as)\b\W*)?){_NUMBER}(?=\W)""",
    re.IGNORECASE,
)
_REASON = re.compile(r'["\']?reason["\']?\s*:\s*"((?:[^"\\]|\\.)*)', re.IGNORECASE)


def read_grade(reply: Completion, scale: int) -> tuple[Decimal | None, str]:
    """(grade, the grader's words), or (None, why it cannot be read).

    A JSON object, inside other words too; else a number at the beginning or after "grade", "score" or "rating", as `4`,
    `4.5/5` or `4 out of 5`. Of a reply that was cut off the grade counts where something follows it.
    """
    reply = reply.for_the_reader()
    if reply.finish in ("refused", "content_filter", "failed"):
        how = "failed at every try" if reply.finish == "failed" else "refused"
        return None, f"the teacher {how}: {' '.join(reply.text.split())[:200] or reply.finish}"
    text = reply.text.strip()
    found = _KEYED.search(text + ("\n" if reply.finish == "stop" else "")) or (
        None
        if text.startswith("{")
        else _SAID.search(text + ("\n" if reply.finish == "stop" else ""))
    )
    if not found:
        cut = ", which was cut off at max_tokens" if reply.finish == "length" else ""
        return None, f"no grade in the reply{cut}: {' '.join(text.split())[:80]!r}"
    grade = Decimal(found[1])
    if (found[2] and int(found[2]) != scale) or not 0 <= grade <= scale:
        return (
            None,
            f"it says {' of '.join(filter(None, found.groups()))}, and grades go from 0 to {scale}",
        )
    return grade, _words(text, found.end())


def _words(text: str, after: int) -> str:
    if keyed := _REASON.search(text):
        try:
            return " ".join(json.loads(f'"{keyed[1]}"', strict=False).split())
        except ValueError:
            return " ".join(keyed[1].split())
    return " ".join(text[after:].split()).lstrip(".,;:-–—}/ ")[:400]


@dataclass(frozen=True, slots=True)
class Grade:
    """Of the row at a place. value: None where the reply could not be read, and `words` say why."""

    place: int
    id: str  # of the row after repairs
    value: Decimal | None
    words: str
    source: str  # request key
    tokens: int  # that the row would take in training, about

    def to_row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "grade": None if self.value is None else float(self.value),
            "reason": self.words,
            "source": self.source,
        }


@dataclass
class Grades:
    """What was answered, by place and by id of the repaired row; and so which rows go."""

    how: Grading
    by_place: dict[int, Grade] = field(default_factory=dict)
    by_id: dict[str, Grade] = field(default_factory=dict)
    requests: int = 0
    from_store: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    _last: tuple[Decimal, int] | None = None  # of the best so many, the last one

    def add(self, grade: Grade, reply: Completion) -> None:
        self.by_place[grade.place] = self.by_id[grade.id] = grade
        self.requests += 1
        self.from_store += reply.from_store
        self.tokens_in += reply.usage.tokens_in
        self.tokens_out += reply.usage.tokens_out

    def close(self) -> None:
        """After the last one: finds the best so many."""
        most = self.how.top_k
        order = sorted(
            (-grade.value, grade.place)
            for grade in self.by_place.values()
            if grade.value is not None
        )
        self._last = order[most - 1] if most and most < len(order) else None

    def marked(self, rows: Iterable[Example]) -> Iterator[Example]:
        """The same rows, from the first on, with their grades in their origins."""
        for place, example in enumerate(rows):
            grade = self.by_place.get(place)
            if grade and grade.value is not None:
                details = {
                    **example.origin.details,
                    "grade": float(grade.value),
                    "graded": grade.source,
                }
                example = replace(example, origin=replace(example.origin, details=details))
            yield example

    def as_filter(self) -> ActiveFilter:
        return ActiveFilter(RULE, lambda example: self.reason(example.id))

    def reason(self, id: str) -> str | None:
        """Why the row of that id goes; None: it stays, or was not graded."""
        grade = self.by_id.get(id)
        if grade is None or grade.value is None:
            return None
        said = f"{self.how.dimension} {_plain(grade.value)} of {self.how.scale}"
        words = f": {grade.words}" if grade.words else ""
        if self.how.threshold is not None and grade.value < self.how.threshold:
            return f"{said}, at least {_plain(self.how.threshold)} wanted{words}"
        if self._last and (-grade.value, grade.place) > self._last:
            return f"{said}, not among the best {self.how.top_k:,}, which end at {_plain(-self._last[0])}{words}"
        return None

    def summary(self) -> dict[str, Any]:
        """graded + ungraded = requests; tokens: that all graded rows, and those that go, would take in training."""
        values = [grade.value for grade in self.by_place.values() if grade.value is not None]
        gone = [grade for grade in self.by_place.values() if self.reason(grade.id)]
        counts = Counter(float(value) for value in values)
        return {
            "dimension": self.how.dimension,
            "scale": self.how.scale,
            "graded": len(values),
            "ungraded": self.requests - len(values),
            "below": len(gone),
            "mean": round(float(sum(values)) / len(values), 3) if values else None,
            "histogram": {f"{value:g}": counts[value] for value in sorted(counts)},
            "tokens": sum(grade.tokens for grade in self.by_place.values()),
            "tokens_below": sum(one.tokens for one in gone),
            "requests": self.requests,
            "from_store": self.from_store,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
        }


async def grade(
    rows: Iterable[tuple[int, Example]],
    teacher: Teacher,
    how: Grading,
    at_once: int = USUAL,
    tick: Callable[[int], None] = lambda place: None,
) -> Grades:
    """Asks about (place, row) in rounds: all of a round at once, as many in flight as the teacher's pace allows.

    tick: is told about how far it is, as the place of a row, at each reply. Raises UserError where no grade of the first round can be
    read, and what `teacher.ask` raises; every reply that came until then is stored.
    """
    grades, rows, size = Grades(how), iter(rows), min(_TRIED, at_once)
    while part := list(islice(rows, size)):
        replies = await together(
            [teacher.ask(how.request(example, teacher.takes)) for _, example in part],
            lambda heard, part=part: tick(part[heard - 1][0]),  # type: ignore[misc]
        )
        for (place, example), reply in zip(part, replies, strict=True):
            value, words = read_grade(reply, how.scale)
            grades.add(Grade(place, example.id, value, words, reply.key, _trained(example)), reply)
        if grades.requests == len(part) == size and not any(
            one.value is not None for one in grades.by_place.values()
        ):
            first = next(iter(grades.by_place.values()))
            raise UserError(
                f"curate.grade: none of the first {size} grades can be read: {first.words}",
                "another teacher may do better; a model that thinks needs more curate.grade.max_tokens",
            )
        size = at_once
    grades.close()
    return grades


def _trained(example: Example) -> int:
    size = sum(len(text.encode()) for text in example.texts)
    return round(_TEMPLATE_TOKENS + size / BYTES_A_TOKEN)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
