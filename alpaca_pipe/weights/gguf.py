"""GGUF files: where a known one lies in the cache, and which digest a recipe's `model:` stands for."""

from __future__ import annotations

from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import cache_dir, file_digest
from alpaca_pipe.weights.known import KNOWN, KnownWeight

SETUP = "run `alpaca-pipe setup local` once"


def cached_path(weight: KnownWeight) -> Path:
    """Where the file of a known weight lies or will lie, whether or not it is there."""
    return cache_dir() / "weights" / weight.name / weight.file


def gguf_digest(model: str | Path) -> str:
    """sha256 of a known weight (no file needed) or of a GGUF file on this disk."""
    known = KNOWN.get(str(model))
    return known.sha256 if known else file_digest(Path(model))


def open_gguf(model: str | Path) -> Path:
    """The file itself, ready to load; the bytes of a known weight are checked (remembered by time and size)."""
    known = KNOWN.get(str(model))
    path = cached_path(known) if known else Path(model)
    if not path.is_file():
        raise UserError(
            f"the weights '{model}' are not on this machine (looked for {path})",
            SETUP if known else "give the path of a GGUF file",
        )
    if known and file_digest(path) != known.sha256:
        raise UserError(
            f"{path} is damaged: its sha256 is not the one that is known for '{model}'", SETUP
        )
    return path
