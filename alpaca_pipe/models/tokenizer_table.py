"""The tokens of a tokenizer.json with their ids, without loading it."""

from __future__ import annotations

from pathlib import Path

from alpaca_pipe.core.files import read_json


def tokens_of(folder: Path) -> dict[str, int] | None:
    """Token -> id, added ones too; None where no tokenizer.json lies there, or its model keeps no list of tokens."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    said = read_json(file)
    kept = said.get("model", {}).get("vocab")
    if isinstance(
        kept, list
    ):  # of a Unigram model: [token, log probability], in the order of their ids
        kept = {token: place for place, (token, *_) in enumerate(kept)}
    if not isinstance(kept, dict):
        return None
    return {**kept, **{one["content"]: one["id"] for one in said.get("added_tokens", ())}}
