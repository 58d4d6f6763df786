"""Foreign rows in: any form, any shape, each row judged; bad rows are told with their places, or set aside with reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.example import Example, Rejected, numbered
from alpaca_pipe.data.file_formats import FORMS, files_of, rows_of
from alpaca_pipe.data.hub import hub_rows
from alpaca_pipe.data.records import Found, Record, Unreadable, kept_text
from alpaca_pipe.data.row_schemas import (
    BY_NAME,
    KEYS,
    SHAPES,
    NotARow,
    NotHeld,
    RowSchema,
    example_of,
    shape_of,
)
from alpaca_pipe.data.source_kinds import Form, Format, HubId, Turns

Aside = Callable[[Rejected], object]
UNREADABLE, TURNS = (
    "unreadable",
    "turns",
)  # the rules under which rows are set aside before any filter sees them
_TOLD = 20  # errors told at once; a file of another kind would fill the screen
_LOOKED_AT = 20  # rows that say which shape a file has


def read(
    source: Path | HubId,
    format: Format | None = None,
    *,
    keep_going: bool = False,
    turns: Turns = "refuse",
    first: int | None = None,
    aside: Aside = lambda rejected: None,
) -> Iterator[Example]:
    """The rows of a file, a folder or a hub id, in order; origin `imported`, source `name#line` (or row), ids unique.

    Texts are kept as they are, empty ones too: judging them is the filters' work. A sound row that ours cannot hold (a
    conversation that goes on) goes `aside` with rule `turns`. A row that cannot be read is an error: after the last row
    UserErrors tells the first 20 with their places; with `keep_going` it goes `aside` too, with rule `unreadable`.
    Nothing that was handed out should be used before the end is reached. Memory does not grow with the file.
    format: forces the form of the file or the shape of its rows. first: reads so many rows only, bad ones among them.
    """
    return numbered(
        _strict(islice(_judged(source, format, turns), first), keep_going, aside, str(source))
    )


def _strict(
    found: Iterable[Example | Rejected | tuple[Unreadable, str, str]],
    keep_going: bool,
    aside: Aside,
    whole: str,
) -> Iterator[Example]:
    faults: list[UserError] = []
    count = 0
    for one in found:
        count += 1
        if isinstance(one, Example):
            if not faults:
                yield one
        elif isinstance(one, Rejected):
            aside(one)
        elif keep_going and not one[0].ends:
            bad, _, source = one
            aside(Rejected(bad.text, UNREADABLE, bad.what, source, kind="imported"))
        else:
            bad, place, _ = one
            faults.append(UserError(f"{place}: {bad.what}", bad.cure))
            if len(faults) == _TOLD or bad.ends:
                break
    if faults:
        raise UserErrors(faults)
    if not count:
        raise UserError(
            f"{whole}: the file has no rows",
            "name a file with at least one instruction and its output",
        )


def _judged(
    source: Path | HubId, format: Format | None, turns: Turns
) -> Iterator[Example | Rejected | tuple[Unreadable, str, str]]:
    """Each row of each file as an Example, a Rejected, or (why it cannot be read, its place, its source)."""
    form, shape = _forced(format)
    if isinstance(source, HubId):
        yield from _of_one(hub_rows(source, KEYS), str(source), str(source), ", row ", shape, turns)
        return
    for path, name, own in files_of(source, form):
        between = ":" if own in ("json", "jsonl", "csv", "tsv") else ", row "
        yield from _of_one(rows_of(path, own), str(path), name, between, shape, turns)


def _forced(format: Format | None) -> tuple[Form | None, RowSchema | None]:
    return next((form for form in FORMS if form == format), None), BY_NAME.get(format or "")


def _of_one(
    found: Iterator[Found],
    file: str,
    name: str,
    between: str,
    forced: RowSchema | None,
    turns: Turns,
) -> Iterator[Example | Rejected | tuple[Unreadable, str, str]]:
    first = list(islice(found, _LOOKED_AT))
    shape = forced or _shape(first, file)
    for one in chain(first, found):
        source = f"{name}#{one.at}"
        if isinstance(one, Record):
            try:
                yield example_of(one.value, shape, source, turns, forced is not None)
                continue
            except NotHeld as reason:
                yield Rejected(kept_text(one.value), TURNS, str(reason), source, kind="imported")
                continue
            except NotARow as error:
                what, cure = error.args
                one = Unreadable(one.at, what, cure, kept_text(one.value))
        yield one, f"{file}{between}{one.at}", source


def _shape(first: Iterable[Found], file: str) -> RowSchema:
    """The first shape in the order of the table that one of the first rows has."""
    values = [one.value for one in first if isinstance(one, Record) and isinstance(one.value, dict)]
    seen = {shape.name for value in values if (shape := shape_of(value))}
    if seen or not values:
        return next((shape for shape in SHAPES if shape.name in seen), SHAPES[0])
    keys = list(dict.fromkeys(str(key) for value in values for key in value))
    near = next(
        (
            cure
            for key in ("instruction", "output")
            if "did you" in (cure := did_you_mean(key, keys))
        ),
        "",
    )
    shapes = ", ".join(dict.fromkeys("+".join(shape.needed) for shape in SHAPES))
    shown = ", ".join(keys[:12]) or "none"
    raise UserError(
        f"{file}: no row has the keys of instruction data; its keys: {shown}",
        near or f"rename them; known are {shapes}",
    )
