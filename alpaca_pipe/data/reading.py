"""Foreign rows in: any form, any shape, each row judged; bad rows are told with their places, or set aside with reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.example import Example, Rejected, numbered
from alpaca_pipe.core.files import refuse_pipe
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.archives import AnyFile
from alpaca_pipe.data.dataset_info import columns_beside, names_dataset
from alpaca_pipe.data.file_formats import FORMS, has_splits, rows_of
from alpaca_pipe.data.hub import hub_files
from alpaca_pipe.data.message_tables import put_together
from alpaca_pipe.data.records import Beside, Found, Record, Unreadable, kept_text
from alpaca_pipe.data.row_reader import TURNS, RowReader
from alpaca_pipe.data.separators import Separators
from alpaca_pipe.data.shapes.base import NotARow
from alpaca_pipe.data.shapes.columns import Columns
from alpaca_pipe.data.shapes.presets import PRESETS
from alpaca_pipe.data.shapes.unread import NoShape
from alpaca_pipe.data.source_files import files_of
from alpaca_pipe.data.source_kinds import Form, Format, HubId, Turns
from alpaca_pipe.data.split_column import SplitColumn
from alpaca_pipe.data.splits import REST, split_of

Aside = Callable[[Rejected], object]
UNREADABLE = "unreadable"  # the rule under which rows are set aside that cannot be read
_TOLD = 20  # errors told at once; a file of another kind would fill the screen
_APART = 3  # places of one fault that are told apart
_MAY_SET_ASIDE = UserError(
    "rows that cannot be read can be set aside, with their reasons",
    "set keep_going: true; `alpaca-pipe curate FILE` takes --keep-going",
)
_LOOKED_AT = (
    200  # rows that say what ends every text of a file; if none of them has a shape, none has
)
_Judged = Example | Preference | Rejected | tuple[Unreadable, str, str]

__all__ = ["TURNS", "UNREADABLE", "Aside", "ReadingNotes", "read"]


@dataclass
class ReadingNotes:
    """What reading has to say beside the rows, gathered while they are read."""

    readers: list[RowReader] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    beside: Counter[str] = field(default_factory=Counter)  # keys that stand beside the rows

    def summary(self) -> dict[str, Any]:
        """As it stands in a summary; empty parts are left out. shapes: {"shape", "rows", "columns"} each; unread: key -> rows in
        which it held something; remarks: what was done -> how often."""
        shapes: list[dict[str, Any]] = []
        unread, remarks = Counter(self.beside), Counter(self.remarks)
        for reader in self.readers:
            shapes += reader.shapes()
            unread.update(reader.unread())
            remarks.update(reader.remarks)
        parts = {
            "shapes": _merged(shapes),
            "unread": dict(unread.most_common()),
            "remarks": dict((+remarks).most_common()),
        }
        return {name: part for name, part in parts.items() if part}


def _merged(shapes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that only lack a column that others have are of one shape with them; the most frequent first."""
    merged: list[dict[str, Any]] = []
    for one in sorted(shapes, key=lambda shape: -len(shape["columns"])):
        for other in merged:
            if (
                one["shape"] == other["shape"]
                and one["columns"].items() <= other["columns"].items()
            ):
                other["rows"] += one["rows"]
                break
        else:
            merged.append(dict(one))
    return sorted(merged, key=lambda one: -one["rows"])


def read(
    source: Path | HubId,
    format: Format | None = None,
    *,
    keep_going: bool | None = None,
    turns: Turns = "all",
    first: int | None = None,
    columns: Columns | None = None,
    split: str | None = None,
    aside: Aside = lambda rejected: None,
    told: ReadingNotes | None = None,
) -> Iterator[Example]:
    """The rows of a file, a folder or a hub id, in order; origin `imported`, source `name#line` (or row), ids unique.

    Texts are kept as they are, empty ones too: judging them is the filters' work. A sound row that ours cannot hold goes
    `aside` with rule `turns`, one that says that it is a bad answer or not to be learned with rule `bad_answer` or
    `do_not_learn`. A row that cannot be read is an error: after the last row UserErrors tells the first 20 with their
    places; with `keep_going` it goes `aside` too, with rule `unreadable`; False: the user may set it, and is told so. Nothing
    that was handed out should be used before the end is reached. Memory does not grow with the file.
    format: forces the form of the file or the shape of its rows. first: reads so many rows only, bad ones among them.
    columns: what the user says that columns mean. split: which of several. told: gathers what is to be said, by the end.
    """
    told = told if told is not None else ReadingNotes()
    found = judged(source, format, turns, columns, split, told, first=first)
    rows = strict(islice(found, first), keep_going, aside, str(source))
    return numbered(one for one in rows if isinstance(one, Example))


def strict(
    found: Iterable[_Judged], keep_going: bool | None, aside: Aside, whole: str
) -> Iterator[Example | Preference]:
    """The rows that are read; the others as `read` tells."""
    faults: list[tuple[str, Unreadable]] = []
    count = 0
    for one in found:
        count += 1
        if isinstance(one, Example | Preference):
            if not faults:
                yield one
        elif isinstance(one, Rejected):
            aside(one)
        elif keep_going and not one[0].ends:
            bad, _, source = one
            aside(Rejected(bad.text, UNREADABLE, bad.what, source, kind="imported"))
        else:
            bad, place, _ = one
            faults.append((place, bad))
            if len(faults) == _TOLD or bad.ends:
                break
    if faults:
        told = [*_told_once(faults)]
        if keep_going is False and not faults[-1][1].ends:
            told.append(_MAY_SET_ASIDE)
        raise UserErrors(told)
    if not count:
        raise UserError(
            f"{whole}: the file has no rows",
            "name a file with at least one instruction and its output",
        )


def _told_once(faults: Sequence[tuple[str, Unreadable]]) -> Iterator[UserError]:
    """A fault of many rows is one sentence, with its first place and how many more there are. In the order of the places."""
    places: dict[tuple[str, str], list[str]] = {}
    for place, bad in faults:
        places.setdefault((bad.what, bad.cure), []).append(place)
    for place, bad in faults:
        at = places[bad.what, bad.cure]
        if len(at) <= _APART:
            yield UserError(f"{place}: {bad.what}", bad.cure)
        elif place == at[0]:
            yield UserError(f"{place} and {len(at) - 1} more, to {at[-1]}: {bad.what}", bad.cure)


def judged(
    source: Path | HubId,
    format: Format | None,
    turns: Turns,
    columns: Columns | None,
    split: str | None,
    told: ReadingNotes,
    kind: type[RowReader] = RowReader,
    first: int | None = None,
) -> Iterator[_Judged]:
    """Each row of each file as an Example, a Rejected, or (why it cannot be read, its place, its source). kind: what reads
    them; one for preferences answers those. first: as many are wanted, so no more are counted in `told`."""
    form = next((form for form in FORMS if form == format), None)
    wanted = PRESETS.get(format or "") or columns
    keys: set[str] = set()
    column = SplitColumn(split) if split else None
    alone = isinstance(source, Path) and source.is_file()
    left = first
    for found, path, name, between, by_column in _files(source, form, split):
        file = str(path)
        columns = wanted
        if not wanted and isinstance(path, Path) and (beside := columns_beside(path)):
            columns = Columns.of(beside)
        reader = kind(columns, turns, column if by_column else None)
        told.readers.append(reader)
        for one in _of_one(found, file, name, between, reader, told, alone, left):
            left = None if left is None else left - 1
            yield one
        keys |= reader.keys()
        if left is not None and left <= 0:
            break
    if column and any(reader.split for reader in told.readers):
        column.check_any(str(source))
    _check_named(wanted, keys, str(source))


def _check_named(columns: Columns | None, keys: Collection[str], source: str) -> None:
    """Raises UserError for a column that the user named and that no row has."""
    if not columns or columns.only:
        return
    for key in (one for one in columns.parts if columns.named(one, keys) is None):
        raise UserError(
            f"columns: no row of {source} has '{key}'", did_you_mean(key, keys) or "look it up"
        )


def _files(
    source: Path | HubId, form: Form | None, split: str | None
) -> Iterator[tuple[Iterator[Found], AnyFile | str, str, str, str | None]]:
    """(what is found, the file, its name, what stands before a place in it, the split that a column of its rows is to name) of
    each file of a source."""
    if isinstance(source, Path):
        refuse_pipe(source)
    files = hub_files(source, split) if isinstance(source, HubId) else files_of(source, form, split)
    chosen = isinstance(source, HubId) or _chosen_by_name(source, files, split)
    for path, name, own in files:
        between = ":" if own in ("json", "jsonl", "csv", "tsv", "yaml") else ", row "
        inside = split if not chosen and has_splits(path, own) else None
        by_column = None if chosen or inside else split
        shown = name if isinstance(source, HubId) else path
        yield rows_of(path, own, inside), shown, name, between, by_column


def _chosen_by_name(
    source: Path, files: Sequence[tuple[AnyFile, str, Form]], split: str | None
) -> bool:
    """Whether these files of a source are those of the split, by their names or by a dataset_info.json beside them."""
    if split is None or files[0][0] == source:
        return split is None
    named = any(split_of(name) for _, name, _ in files)
    return named or split == REST or (source.is_dir() and names_dataset(source, split))


def _of_one(
    found: Iterator[Found],
    file: str,
    name: str,
    between: str,
    reader: RowReader,
    told: ReadingNotes,
    alone: bool,
    wanted: int | None,
) -> Iterator[_Judged]:
    """alone: the source has no other file, which could hold the split that is wanted. wanted: rows, None for all."""
    looked: list[_Judged] = []
    rows = _rows_alone(put_together(found), told)
    begun = list(islice(rows, _LOOKED_AT))
    shapeless: list[NoShape] = []
    for one in begun:
        looked += _of_record(one, file, name, between, reader, shapeless)
    if shapeless and len(shapeless) == len(begun):
        _check_named(reader.columns, reader.keys(), file)
        raise UserError(f"{file}: {shapeless[0].whole}", shapeless[0].args[1])
    if alone and reader.split and not reader.split.said:
        reader.split.check_any(file)
    ends = Separators.of([one for one in looked if isinstance(one, Example)])
    if wanted is not None and wanted < len(looked):  # counted are those that are handed out
        reader.forget()
        looked, rows = [], chain(begun, rows)
    rest = chain.from_iterable(
        _of_record(one, file, name, between, reader, shapeless) for one in rows
    )
    if not ends:
        yield from chain(looked, rest)
    else:
        for judged in chain(looked, rest):
            cut = ends.cut(judged) if isinstance(judged, Example) else judged
            told.remarks["separators that every row shares are cut"] += cut is not judged
            yield cut


def _rows_alone(found: Iterator[Found], told: ReadingNotes) -> Iterator[Record | Unreadable]:
    for one in found:
        if isinstance(one, Beside):
            told.beside.update(one.keys)
        else:
            yield one


def _of_record(
    one: Record | Unreadable,
    file: str,
    name: str,
    between: str,
    reader: RowReader,
    shapeless: list[NoShape],
) -> Sequence[_Judged]:
    source = f"{name}#{one.at}"
    if isinstance(one, Record):
        try:
            return reader.read(one.value, source)
        except NotARow as error:
            if isinstance(error, NoShape) and len(shapeless) < _LOOKED_AT:
                shapeless.append(error)
            what, cure = error.args
            one = Unreadable(one.at, what, cure, kept_text(one.value), row=one.row)
    return [(one, f"{file}{between}{one.place}", source)]
