"""The rows of a recipe's last run as they are put before a person who decides about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.review.session import ReviewItem
from alpaca_pipe.report.rows import StageRow, check_whole, drawn, kept, matching, rows
from alpaca_pipe.report.run_files import RunFiles, left
from alpaca_pipe.similarity.rouge import Index

_ELSEWHERE = {
    "nearest",
    "score",
    "place",
    "prompt",
    "sample",
    "asked_before",
    "repair",
}  # in other lines, or for machines
_ORIGIN = 140  # characters of a detail
_NEAR = Fraction(7, 10)  # where the search begins


def to_review(
    workspace: Path,
    recipe: str,
    *,
    rejected: bool = False,
    rule: str | None = None,
    sample: int | None = None,
    grep: str | None = None,
) -> list[ReviewItem]:
    """Kept rows, or those that curate dropped, in file order. Raises UserError where there are none: what generate dropped
    never came to curate, so no decision of curate's can bring it back."""
    check_whole(workspace, recipe)
    found = left(workspace, recipe)
    chosen = rows(workspace, recipe, rejected=rejected, rule=rule)
    here = [row for row in chosen if row.id and (not rejected or row.where == "curate")]
    if rejected and chosen and not here:
        by = f"the rule '{rule}'" if rule else "a rule"
        raise UserError(
            f"{recipe}: what {by} dropped never came to curate, or has no id, so it cannot be kept in review",
            "loosen that rule in the recipe and run again: the stored replies are judged again, nothing is asked",
        )
    here = matching(here, grep) if grep is not None else here
    library = _Library(found)
    return [library.item(row) for row in (drawn(here, sample) if sample is not None else here)]


def ids_of(workspace: Path, recipe: str) -> frozenset[str]:
    """Of every row that a decision can find: what came to curate, what it made of it, what it dropped."""
    found = left(workspace, recipe)
    return frozenset(_Library(found).instructions) | {
        pair["before"]["id"] for pair in found.step("curate").rows("repaired.jsonl")
    }


class _Library:
    """Where a row's neighbours are looked up."""

    def __init__(self, found: RunFiles) -> None:
        self.found = found

    @cached_property
    def instructions(self) -> Mapping[str, str]:
        files = (
            ("generate", "seeds.jsonl"),
            ("generate", "rejected.jsonl"),
            ("generate", "examples.jsonl"),
            ("curate", "rejected.jsonl"),
            ("curate", "examples.jsonl"),
        )
        return {
            row["id"]: row.get("instruction", "")
            for kind, name in files
            for row in self.found.step(kind).rows(name)
            if row.get("id")
        }

    @cached_property
    def told_again(self) -> Mapping[str, list[str]]:
        """The id of a row that stayed -> the ids of those that were dropped for it."""
        return {
            group["kept"]: [other["id"] for other in group["others"]]
            for group in self.found.step("curate").rows("groups.jsonl")
        }

    @cached_property
    def kept(self) -> Index:
        """The kept rows by their instructions, for a row whose neighbour no stage has recorded."""
        index = Index(_NEAR, "unicode")
        for row in kept(self.found):
            index.add(row.id, Example.from_row(row.data).asked if row.turns else row.instruction)
        return index

    def item(self, row: StageRow) -> ReviewItem:
        example = Example.from_row(row.data)
        where = {
            "train": "kept, to train on",
            "held out": "kept, and held out to evaluate on",
            "generate": "accepted; curate has not run yet",
        }.get(row.where, "")
        return ReviewItem(
            example,
            f"dropped by {row.where}, {row.rule}: {row.reason}" if row.rule else where,
            tuple(self._origin(example)),
            partial(self._nearest, row, example),
        )

    def _origin(self, example: Example) -> Iterator[str]:
        origin = example.origin
        yield f"{origin.kind} from {origin.source}" if origin.source else origin.kind
        if origin.parents:
            repaired = origin.details.get("repair")
            names = ", ".join(origin.parents[:3]) + (" ..." if len(origin.parents) > 3 else "")
            yield f"before {repaired}: {names}" if repaired else f"shown: {names}"
        for name, value in origin.details.items():
            if name not in _ELSEWHERE:
                yield f"{name}: {_short(value)}"

    def _nearest(self, row: StageRow, example: Example) -> str:
        id, score = row.nearest, ""
        if not id:
            details = example.origin.details
            id, score = (
                str(details.get("nearest", "")),
                f"{details['score']:.2f} like " if "score" in details else "",
            )
        if not id:
            others = self.told_again.get(row.id, [])
            if others:
                return f"{len(others)} dropped for it, first {self._named(others[0])}"
            asked = example.asked if example.messages else example.instruction
            near = self.kept.other(row.id, asked)
            return f"{float(near.score):.2f} like {self._named(near.id)}" if near else ""
        return score + self._named(id)

    def _named(self, id: str) -> str:
        text = " ".join(self.instructions.get(id, "").split())
        return f"{id}: {text}" if text else id


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _ORIGIN else f"{text[: _ORIGIN - 1]}…"
