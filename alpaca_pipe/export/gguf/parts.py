"""A GGUF may be one file, or parts of one: `model-q4_0-00001-of-00003.gguf` and those that follow, as llama.cpp names them."""

from __future__ import annotations

import re
from pathlib import Path

_PART = re.compile(r"-(\d{5})-of-(\d{5})$")


def first_part(folder: Path, quantization: str) -> Path:
    """The file, or the first of its parts."""
    whole = folder / f"model-{quantization}.gguf"
    parts = sorted(folder.glob(f"model-{quantization}-*-of-*.gguf"))
    return parts[0] if parts else whole


def is_first(file: Path) -> bool:
    """Whether it is a whole file, or the first of several parts."""
    part = _PART.search(file.stem)
    return part is None or int(part[1]) == 1


def missing_parts(first: Path) -> int:
    """How many of its parts are not beside it."""
    part = _PART.search(first.stem)
    return int(part[2]) - len(all_parts(first)) if part else 0


def all_parts(first: Path) -> list[Path]:
    """The parts that belong to a first one, in their order; of a whole file itself."""
    stem, _, count = first.stem.rpartition("-00001-of-")
    return sorted(first.parent.glob(f"{stem}-*-of-{count}.gguf")) if stem else [first]
