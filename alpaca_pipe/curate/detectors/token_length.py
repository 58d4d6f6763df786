"""How many tokens a text has, by a tokenizer.json (of the library `tokenizers`)."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError


def tokens(text: str, tokenizer: Path) -> int:
    """Special tokens are not counted."""
    return len(_loaded(tokenizer).encode(text, add_special_tokens=False).ids)


@cache
def _loaded(path: Path) -> Any:
    if find_spec("tokenizers") is None:
        raise UserError(
            "curate.filters.length: tokens are counted by tokenizers, which is not installed",
            "pip install 'alpaca-pipe[train]', or leave `tokenizer` out to count words",
        )
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - the library raises nothing more precise
        raise UserError(
            f"curate.filters.length: {file} is no tokenizer: {error}", "name a tokenizer.json"
        ) from None
