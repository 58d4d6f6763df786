"""Verdicts on rows of the released 52K, by number and id only: tests/curate/labels/*.jsonl, each with who, when and how.

The patterns were written while looking at the rows whose id's hash begins with 0 to 7; what is labelled lies in the other
half. "blind" figures are those before any of it was looked at; where a pattern was changed since, the file says how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.curate import repairs
from alpaca_pipe.curate.filter_config import ALL

FOLDER = Path(__file__).parent / "labels"
DETECTORS = {
    **{one.name: one for one in ALL},
    **{one.__name__: one for one in repairs.ALL},
}
BY_READING = tuple(sorted(path.stem for path in FOLDER.glob("*.jsonl") if path.stem in DETECTORS))


def unseen(example: Example) -> bool:
    """The half that was not tuned on."""
    return example.id.removeprefix("e1-")[0] in "89abcdef"


@dataclass(frozen=True)
class Labels:
    """Of one file: its head (who, when, how), and row -> verdict."""

    head: Mapping[str, Any]
    right: Mapping[int, bool]
    ids: Mapping[int, str]
    defects: Mapping[int, Sequence[str]]

    @staticmethod
    def read(name: str) -> Labels:
        head, *rows = read_jsonl(FOLDER / f"{name}.jsonl")
        return Labels(
            head,
            {row["row"]: row["right"] for row in rows if "right" in row},
            {row["row"]: row["id"] for row in rows},
            {row["row"]: row["defects"] for row in rows if "defects" in row},
        )


@dataclass(frozen=True)
class Measured:
    """Of a detector on the 52K: its hits, and among the labelled hits of the unseen half how many are right; of the defects
    in the random sample and of those that wide nets brought up, how many it finds."""

    detector: str
    hits: int
    unseen_hits: int
    labelled: int
    right: int
    in_sample: int
    found_in_sample: int
    missed: int  # of what was found by reading the catch of a wide net, still passed

    @property
    def precision(self) -> float | None:
        return self.right / self.labelled if self.labelled else None


def measured(rows: Sequence[Example], name: str) -> Measured:
    hits = {number for number, row in enumerate(rows) if DETECTORS[name](row)}
    labels, sample, missed = Labels.read(name), Labels.read("sample").defects, Labels.read("missed")
    judged = {number: right for number, right in labels.right.items() if number in hits}
    defective = [number for number, defects in sample.items() if name in defects]
    return Measured(
        name,
        len(hits),
        sum(unseen(rows[number]) for number in hits),
        len(judged),
        sum(judged.values()),
        len(defective),
        sum(number in hits for number in defective),
        sum(name in defects and number not in hits for number, defects in missed.defects.items()),
    )


def every_label() -> Iterator[tuple[str, int, str]]:
    """(file, row, id)."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        yield from ((path.stem, number, id) for number, id in Labels.read(path.stem).ids.items())
