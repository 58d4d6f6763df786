"""The files of rows that a source is: one file, or those of a folder or an archive, of one form and one split."""

from __future__ import annotations

import re
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.archives import AnyFile, archive_kind, packed_files
from alpaca_pipe.data.dataset_info import file_named
from alpaca_pipe.data.file_formats import KNOWN, SUFFIXES, form_of
from alpaca_pipe.data.source_kinds import Form
from alpaca_pipe.data.splits import REST, chosen_split, split_of

_NOT_ROWS = re.compile(r"(^|/)(dataset_infos?|state|dataset_dict|summary|config|done|stage)\.json$")


def files_of(
    source: Path, form: Form | None = None, split: str | None = None, *, every_split: bool = False
) -> list[tuple[AnyFile, str, Form]]:
    """(file, its name inside `source`, its form) of each file of rows that `source` is or holds, in order of the names.

    A folder or an archive holds one form, or `form` says which of its files are meant; of several splits (train, test ...)
    `split` says which, unless every one is wanted. Hidden files and those that hold no rows by their name's ending (README.md ...) are passed over.
    """
    if source.is_dir():
        if form == "datasets" or (form is None and is_saved(source)):
            return [(source, source.name, "datasets")]
        wanted = form is None and not every_split
        if wanted and (named := file_named(source, split)):
            return [(named, named.name, form or form_of(named))]
        inside: list[tuple[str, AnyFile]] = sorted(
            (path.relative_to(source).as_posix(), path)
            for path in source.rglob("*")
            if path.is_file()
        )
        return _chosen(f"{source}: the folder", inside, form, split, every_split)
    if form not in ("xlsx", "datasets") and (kind := archive_kind(source)):
        packed: list[tuple[str, AnyFile]] = list(packed_files(source, kind))
        return _chosen(f"{source}: the archive", packed, form, split, every_split)
    return [(source, source.name, form or form_of(source))]


def _chosen(
    what: str,
    inside: list[tuple[str, AnyFile]],
    form: Form | None,
    split: str | None,
    every_split: bool,
) -> list[tuple[AnyFile, str, Form]]:
    seen = [
        (name, path)
        for name, path in inside
        if SUFFIXES.search(name)
        and not _NOT_ROWS.search(name)
        and not any(part.startswith((".", "_")) for part in name.split("/"))
    ]
    if not seen:
        raise UserError(f"{what} holds no rows", f"name a file or a folder of {KNOWN}")
    found = [(path, name, form_of(path)) for name, path in seen]
    if form:
        found = [one for one in found if one[2] == form]
    if not every_split:
        found = _of_split(what, found, split)
    forms = sorted({one[2] for one in found})
    if len(forms) != 1:
        held = (
            f"files of {len(forms)} forms: {', '.join(forms)}"
            if forms
            else f"no file of the form {form}"
        )
        raise UserError(
            f"{what} holds {held}",
            "name one file, or say with format which of them are meant",
        )
    return found


def _of_split(
    what: str, found: list[tuple[AnyFile, str, Form]], split: str | None
) -> list[tuple[AnyFile, str, Form]]:
    """The files of the one split that is meant. Files that name no split beside some that do are a split of their own."""
    by_split: dict[str, list[tuple[AnyFile, str, Form]]] = {}
    for one in found:
        by_split.setdefault(split_of(one[1]) or REST, []).append(one)
    if set(by_split) <= {REST} or (len(by_split) == 1 and split is None):
        return found
    return by_split[chosen_split(by_split, split, what)]


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` made it."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )
