"""What a checkpoint folder is, whatever it is called and wherever it lies: the digest of its files that decide."""

from __future__ import annotations

import re
from pathlib import Path

from alpaca_pipe.core.files import digest_of, file_digest

# What of a checkpoint folder decides its answers; a README or an optimizer's state does not.
_WORDS = r"(tokenizer|special_tokens|added_tokens|vocab|merges).*|chat_template\..*"
_DECISIVE = rf"(config|generation_config)\.json|{_WORDS}|.*\.(safetensors|bin)(\.index\.json)?"


def checkpoint_digest(folder: Path) -> str:
    """Of all files that decide what the model answers."""
    return _digest(folder, _DECISIVE)


def tuned_digest(folder: Path) -> str:
    """Of all files of an adapter, or of a whole model, that decide what it answers."""
    return _digest(folder, rf"{_DECISIVE}|adapter_config\.json")


def tokenizer_digest(folder: Path) -> str:
    """Of all files that decide what its tokenizer does."""
    return _digest(folder, _WORDS)


def _digest(folder: Path, names: str) -> str:
    return digest_of(
        {
            file.name: file_digest(file)
            for file in sorted(folder.iterdir())
            if file.is_file() and re.fullmatch(names, file.name)
        }
    )
