from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.weights.tiny import build_tiny

pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def llama(data: Path) -> Any:
    from transformers import AutoTokenizer

    if not (data / "llama_tokenizer").is_dir():
        pytest.skip(f"LLaMA's tokenizer is not here: {data / 'llama_tokenizer'}")
    return AutoTokenizer.from_pretrained(data / "llama_tokenizer")


@pytest.fixture(scope="session")
def released(data: Path) -> list[Example]:
    """The 52,002 rows."""
    if not (data / "alpaca_data.json.gz").is_file():
        pytest.skip(f"the released Alpaca rows are not here: {data / 'alpaca_data.json.gz'}")
    with gzip.open(data / "alpaca_data.json.gz") as stream:
        return [
            Example.of(row["instruction"], row["input"], row["output"], Origin("imported"))
            for row in json.load(stream)
        ]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny(folder)
    return folder
