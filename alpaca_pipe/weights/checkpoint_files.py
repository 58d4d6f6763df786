"""A checkpoint folder as its files say it, read without torch: configs, and names and shapes of its weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass

_POINTER = b"version https://git-lfs.github.com/spec/"
_MOST = 100_000_000  # bytes of a safetensors header, as the format has it


@dataclass(frozen=True)
class StoredWeight:
    shape: tuple[int, ...]
    dtype: str  # as safetensors spells it: F32, BF16, U8 ...
    file: Path
    begins: int  # bytes from the file's beginning


@dataclass(frozen=True)
class CheckpointFiles:
    """What lies in a folder. Everything is read when it is first asked for, and raises UserError for what is broken."""

    folder: Path

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return self.json("config.json")

    @cached_property
    def tokenizer(self) -> Mapping[str, Any]:
        """tokenizer_config.json; empty where there is none."""
        return self.json("tokenizer_config.json") if self.has("tokenizer_config.json") else {}

    @cached_property
    def generation(self) -> Mapping[str, Any]:
        """generation_config.json; empty where there is none."""
        return self.json("generation_config.json") if self.has("generation_config.json") else {}

    @cached_property
    def text(self) -> Mapping[str, Any]:
        """The part of config.json that says how the language model is built."""
        inner = self.config.get("text_config")
        return inner if isinstance(inner, Mapping) else self.config

    @cached_property
    def weights(self) -> Mapping[str, StoredWeight]:
        """Of all safetensors files, by name; empty where the weights are of another form."""
        found: dict[str, StoredWeight] = {}
        for path in self.weight_files():
            if path.suffix == ".safetensors":
                found |= _header(path)
        return found

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def json(self, name: str) -> Mapping[str, Any]:
        path = self.folder / name
        not_a_pointer(path)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}", "fetch the file again") from None
        if not isinstance(found, dict):
            raise UserError(f"{path} is not a JSON object", "fetch the file again")
        return found

    def weight_files(self) -> list[Path]:
        """Those that transformers would load. Raises UserError where some of them, or all, are missing."""
        for single, index in (
            ("model.safetensors", "model.safetensors.index.json"),
            ("pytorch_model.bin", "pytorch_model.bin.index.json"),
        ):
            if self.has(single):
                return [self.folder / single]
            if self.has(index):
                return list(self._of_index(index))
        raise UserError(
            f"{self.folder} has no weights (model.safetensors, or an index and its parts)",
            "fetch the checkpoint again, all of its files",
        )

    def _of_index(self, index: str) -> Iterator[Path]:
        parts = self.json(index).get("weight_map")
        if not isinstance(parts, dict):
            raise UserError(f"{self.folder / index} has no weight_map", "fetch the file again")
        for name in sorted(set(map(str, parts.values()))):
            if Path(name).name != name or not self.has(name):
                raise UserError(
                    f"{self.folder / index} names the file {name}, which is not there",
                    "fetch the checkpoint again, all of its files",
                )
            yield self.folder / name


def not_a_pointer(path: Path) -> None:
    """Git LFS leaves a text of three lines where a file was not fetched: UserError for one."""
    try:
        with path.open("rb") as stream:
            pointer = stream.read(len(_POINTER)) == _POINTER
    except OSError:
        return
    if pointer:
        raise UserError(
            f"{path} is a Git LFS pointer and not the file itself",
            f"run `git lfs pull` in {path.parent}, or fetch the checkpoint by its hub id",
        )


def _header(path: Path) -> dict[str, StoredWeight]:
    not_a_pointer(path)
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _MOST + 1
        if length > min(_MOST, size):
            raise UserError(
                f"{path} is not a safetensors file, or is cut short", "fetch the file again"
            )
        try:
            said = json.loads(stream.read(length))
            parts = {name: one for name, one in said.items() if name != "__metadata__"}
            ends = max((one["data_offsets"][1] for one in parts.values()), default=0)
            found = {
                name: StoredWeight(
                    tuple(one["shape"]), one["dtype"], path, 8 + length + one["data_offsets"][0]
                )
                for name, one in parts.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(
                f"{path} has a header that cannot be read", "fetch the file again"
            ) from None
    if 8 + length + ends != size:
        raise UserError(
            f"{path} has {size:,} bytes, and its header speaks of {8 + length + ends:,}",
            "fetch the file again",
        )
    return found
