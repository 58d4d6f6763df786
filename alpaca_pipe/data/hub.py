"""The Hugging Face hub: a dataset by its id in, a published folder out; private, and only once the teacher's terms were read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.cards import teachers_of
from alpaca_pipe.data.columnar import table_rows
from alpaca_pipe.data.records import Found
from alpaca_pipe.data.source_kinds import HubId
from alpaca_pipe.data.terms import terms_of


def hub_rows(source: HubId, split: str | None = None) -> Iterator[Found]:
    """The rows of a dataset on the hub; fetched once, kept in the cache of `datasets`. No code of the dataset is run."""
    import datasets
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    name, revision, own = source.parts()
    split = split or own
    datasets.disable_progress_bars()
    try:
        dataset = datasets.load_dataset(name, revision=revision, split=split)
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
        raise UserError(
            f"{source}: cannot be fetched: {_first_line(error)}",
            "where there is no network, fetch it elsewhere and name the folder in place of the id",
        ) from None
    yield from table_rows(dataset)


def push_to_hub(
    folder: Path,
    name: str,
    *,
    accepted: Collection[str] = (),
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Sends a published folder (with its card) to the hub as dataset `owner/name`; answers its address.

    accepted: the models whose terms the user says to have read and accepted; each teacher that the card names must be among
    them. Private unless `private=False`; a dataset that is public already is never taken for a private one.
    Raises UserError; nothing is sent before all is checked.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"'{name}' is not the name of a dataset on the hub", "write owner/name")
    card = folder / "README.md"
    if not card.is_file():
        raise UserError(
            f"{folder}: there is no card (README.md), so nobody could tell where the rows are from",
            "name the folder `dataset` that export made",
        )
    _check_terms(teachers_of(card.read_text(encoding="utf-8")), accepted, name)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    api = HfApi(endpoint=endpoint, token=token)
    try:
        there = _visibility(api, name)
        if there is None:
            api.create_repo(name, repo_type="dataset", private=private)
        elif private and there == "public":
            raise UserError(
                f"{name}: this dataset is public already, and the rows were to stay private",
                "choose another name, make it private on the hub, or say that it may be public",
            )
        sent: Any = api.upload_folder(
            repo_id=name, repo_type="dataset", folder_path=folder, ignore_patterns=[".*", "**/.*"]
        )
    except (OSError, ValueError, RuntimeError, HTTPError) as error:
        raise UserError(
            f"{name}: not sent: {_first_line(error)}",
            "look at the network and at HF_TOKEN; nothing was lost",
        ) from None
    return str(getattr(sent, "commit_url", "") or f"https://huggingface.co/datasets/{name}")


def _check_terms(teachers: Collection[str], accepted: Collection[str], name: str) -> None:
    missing = [teacher for teacher in teachers if teacher not in accepted]
    if missing:
        told = "; ".join(f"{teacher}: {terms_of(teacher)}" for teacher in missing)
        raise UserError(
            f"{name}: nothing was sent, for the terms of those who wrote the rows were not accepted ({told})",
            "read them, then say so: " + " ".join(f"--accept {teacher}" for teacher in missing),
        )


def _visibility(api: Any, name: str) -> str | None:
    """ "public", "private", or None where there is no such dataset yet."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return "private" if api.repo_info(name, repo_type="dataset").private else "public"
    except RepositoryNotFoundError:
        return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
