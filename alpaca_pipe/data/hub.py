"""The Hugging Face hub: a dataset by its id in, a published folder out; private, and only once the teacher's terms were read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.core.hub_repeats import repeats_told
from alpaca_pipe.data.archives import AnyFile, archive_kind, packed_files
from alpaca_pipe.data.cards import teachers_of
from alpaca_pipe.data.file_formats import form_of, rows_of
from alpaca_pipe.data.records import Found
from alpaca_pipe.data.source_kinds import Form, HubId
from alpaca_pipe.data.terms import terms_of


def hub_rows(source: HubId, split: str | None = None) -> Iterator[Found]:
    """The rows of `hub_files`."""
    for file, _, form in hub_files(source, split):
        yield from rows_of(file, form)


def hub_files(source: HubId, split: str | None = None) -> list[tuple[AnyFile, str, Form]]:
    """(file, its name, its form) of each file of rows of a dataset on the hub. They are fetched once, into the cache, and read as
    files here are, so that an id and a path give the same rows. No code of the dataset is run. Raises UserError."""
    fetched: list[AnyFile] = []
    for path in _fetched(source, split):
        inner = archive_kind(path)
        fetched += [one for _, one in packed_files(path, inner)] if inner else [path]
    alone = len(fetched) == 1
    try:
        return [
            (file, str(source) if alone else f"{source}/{file.name}", form_of(file))
            for file in fetched
        ]
    except UserError as error:
        what = error.what
        for file in fetched:
            what = what.replace(str(file), f"{source}: {file.name}")
        raise UserError(what, error.cure) from None


def _fetched(source: HubId, split: str | None) -> list[Path]:
    """The files of the split, fetched. Which files are of which split is told by the dataset's card or by their names, as
    `load_dataset` has it."""
    import datasets
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    name, revision, own = source.parts()
    wanted = split or own
    datasets.disable_progress_bars()
    try:
        with repeats_told():
            builder = datasets.load_dataset_builder(name, revision=revision)
            files = builder.config.data_files or {}
            if wanted in files:
                own_files = datasets.DownloadManager().download(list(files[wanted]))
                return [Path(one) for one in own_files]
    except datasets.exceptions.DatasetNotFoundError:
        raise UserError(
            f"{source}: the hub has no such dataset, or not for you",
            "look at its name; for a private or gated one set HF_TOKEN",
        ) from None
    except (
        OSError,
        ValueError,
        RuntimeError,
        HTTPError,
        datasets.exceptions.DatasetsError,
    ) as error:
        raise _unfetched(source, error) from None
    raise UserError(
        f"{source}: it has no split '{wanted}'; it has {', '.join(map(str, files)) or 'no files of rows'}",
        f"name one of them: {source.removesuffix(':' + own)}:{next(iter(files), 'train')}",
    )


def _unfetched(source: HubId, error: BaseException) -> UserError:
    """The innermost cause, with what to do about a network that is not there, or about a dataset that cannot be read."""
    causes = [error]
    while (below := causes[-1].__cause__) and below not in causes:
        causes.append(below)
    network = any(
        isinstance(one, ConnectionError)
        or "Offline" in type(one).__name__
        or "LocalEntryNotFound" in str(one)  # neither there nor in the cache
        for one in causes
    )
    if network:
        return UserError(
            f"{source}: cannot be fetched: the hub does not answer ({first_line(causes[-1])[:200]})",
            "where there is no network, fetch it elsewhere and name the folder in place of the id",
        )
    return UserError(
        f"{source}: cannot be read: {first_line(causes[-1])}",
        "look at its files on the hub, or fetch it and name the folder or a file of it",
    )


def push_to_hub(
    folder: Path,
    name: str,
    *,
    accepted: Collection[str] = (),
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
    kind: Literal["dataset", "model"] = "dataset",
    rows_card: Path | None = None,
) -> str:
    """Sends a published folder (with its card) to the hub as dataset or model `owner/name`; answers its address.

    rows_card: of a model, the card of the rows that it was tuned on, which names their teachers.

    accepted: the models whose terms the user says to have read and accepted; each teacher that the card names must be among
    them. Private unless `private=False`; a dataset that is public already is never taken for a private one.
    Raises UserError; nothing is sent before all is checked.
    """
    check_name(name, kind)
    card = card_in(folder)
    _check_terms(teachers_of((rows_card or card).read_text(encoding="utf-8")), accepted, name)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    api = HfApi(endpoint=endpoint, token=token)
    try:
        there = _visibility(api, name, kind)
        if there is None:
            api.create_repo(name, repo_type=kind, private=private)
        elif private and there == "public":
            raise UserError(
                f"{name}: this {kind} is public already, and it was to stay private",
                "choose another name, make it private on the hub, or say that it may be public",
            )
        sent: Any = api.upload_folder(
            repo_id=name, repo_type=kind, folder_path=folder, ignore_patterns=[".*", "**/.*"]
        )
    except (OSError, ValueError, RuntimeError, HTTPError) as error:
        raise UserError(
            f"{name}: not sent: {first_line(error)}",
            "look at the network and at HF_TOKEN; nothing was lost",
        ) from None
    place = f"datasets/{name}" if kind == "dataset" else name
    return str(getattr(sent, "commit_url", "") or f"https://huggingface.co/{place}")


def check_name(name: str, kind: str) -> None:
    """Raises UserError for what is not owner/name."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"'{name}' is not the name of a {kind} on the hub", "write owner/name")


def card_in(folder: Path) -> Path:
    """Raises UserError where there is none."""
    card = folder / "README.md"
    if not card.is_file():
        raise UserError(
            f"{folder}: there is no card (README.md), so nobody could tell where the rows are from",
            "name the folder `dataset` that export made",
        )
    return card


def _check_terms(teachers: Collection[str], accepted: Collection[str], name: str) -> None:
    missing = [teacher for teacher in teachers if teacher not in accepted]
    if missing:
        told = "; ".join(f"{teacher}: {terms_of(teacher)}" for teacher in missing)
        raise UserError(
            f"{name}: nothing was sent, for the terms of those who wrote the rows were not accepted ({told})",
            "read them, then say so: " + " ".join(f"--accept {teacher}" for teacher in missing),
        )


def _visibility(api: Any, name: str, kind: str) -> str | None:
    """ "public", "private", or None where there is none of that name yet."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return "private" if api.repo_info(name, repo_type=kind).private else "public"
    except RepositoryNotFoundError:
        return None
