"""A base on the hub, asked for once before it is loaded: what the hub says against it in one sentence, and its silence in one
line (the loaders ask several times, each with five repeats, and print every one)."""

from __future__ import annotations

from collections.abc import Callable

from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.core.hub_repeats import repeats_told

Hearer = Callable[[str], None]


def ask_hub(model: str, revision: str, say: Hearer, endpoint: str | None = None) -> None:
    """Fetches config.json of a model, or finds it in the cache of this machine. Raises UserError for a model that the hub does
    not have, does not give, or that cannot be reached."""
    from huggingface_hub import errors, hf_hub_download

    try:
        with repeats_told(say):
            hf_hub_download(model, "config.json", revision=revision, endpoint=endpoint)
    except errors.GatedRepoError:
        raise UserError(
            f"base.model: {model} is given to those only who accepted its terms",
            "accept them on its page at the hub, then set HF_TOKEN",
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"base.model: the hub has no model {model}, or not for you",
            "look at its name; for a private one set HF_TOKEN",
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(
            f"base.revision: {model} has no branch, tag or commit '{revision}'",
            "look at its files on the hub, or leave base.revision out",
        ) from None
    except (
        errors.LocalEntryNotFoundError
    ) as error:  # before its parent, which is EntryNotFoundError
        raise UserError(
            f"base.model: {model} is not on this machine, and the hub cannot be reached ({_cause(error)})",
            "connect, or fetch it elsewhere and name its folder: base.model=FOLDER",
        ) from None
    except errors.EntryNotFoundError:
        raise UserError(
            f"base.model: {model} has no config.json, so it is not a checkpoint of transformers",
            "name the original model, not a GGUF or an adapter made from it",
        ) from None


def _cause(error: BaseException) -> str:
    below = error
    while below.__cause__ or below.__context__:
        below = below.__cause__ or below.__context__ or below
    return first_line(below)
