"""What a tokenizer.json says without being loaded, beside the library that loads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.models.tokenizer_table import tokens_of

MODELS: dict[str, dict[str, Any]] = {
    "WordLevel": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"},
    "BPE": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
    "Unigram": {"type": "Unigram", "unk_id": 0, "vocab": [["?", 0.0], ["a", -1.0], ["b", -2.0]]},
}


@pytest.mark.parametrize("kind", MODELS)
def test_its_tokens_have_the_ids_that_the_library_gives_them(kind: str, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer.from_str(json.dumps({"version": "1.0", "model": MODELS[kind]}))
    made.add_special_tokens(["<end>"])
    made.add_tokens(["a"])  # one that is there already
    made.save(str(tmp_path / "tokenizer.json"))
    assert tokens_of(tmp_path) == made.get_vocab(with_added_tokens=True)


def test_none_where_nothing_is_told(tmp_path: Path) -> None:
    assert tokens_of(tmp_path) is None
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "ByteFallback"}}')
    assert tokens_of(tmp_path) is None
