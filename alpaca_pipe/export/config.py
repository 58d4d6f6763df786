"""The table `export:` of a recipe."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from alpaca_pipe.core.config_table import Added, Table
from alpaca_pipe.data.source_kinds import Published

ROWS, TRAIN, HELD_OUT = "curate/examples.jsonl", "curate/train.jsonl", "curate/held_out.jsonl"
TRAINED, VERDICT = "train/model", "evaluate/verdict.json"
ALIGNED = "align/model"  # where it is there, it is what is exported


class ExportConfig(Table):
    """What is written for use elsewhere."""

    merge: bool = Field(True, description="the tuned model as one checkpoint, adapter merged in")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the saved weights; merging is always fp32"
    )
    gguf: Annotated[tuple[Literal["f16", "q8_0", "q4_0"], ...], Added()] = Field(
        (),
        description="GGUF files of the merged model for llama.cpp and Ollama, each of them compared with it first",
    )
    gguf_max_shard_size: Annotated[str | None, Added()] = Field(
        None,
        description="a larger GGUF is written in parts of so much, such as 2GB or 512MB; null: one file",
    )
    browser: Annotated[bool, Added()] = Field(
        False,
        description="a folder of static files with the first GGUF: a page that answers in the browser itself",
    )
    onnx: Annotated[bool, Added()] = Field(
        False,
        description="the merged model as ONNX, compared with it first, in a folder of static files: a page that answers by "
        "Transformers.js in the browser",
    )
    dataset: tuple[Published, ...] = Field(
        ("json", "jsonl", "datasets"),
        description="formats of the dataset: json is "
        "alpaca_data.json, datasets is a folder for load_dataset",
    )
    check_rows: int = Field(
        8, ge=1, description="held-out rows on which the reloaded model is compared"
    )

    @field_validator("gguf_max_shard_size")
    @classmethod
    def _is_a_size(cls, size: str | None) -> str | None:
        if size is not None:
            bytes_of(size)
        return size

    @model_validator(mode="after")
    def _of_a_merged_model(self) -> Self:
        if self.gguf and not self.merge:
            raise ValueError(
                "a GGUF is written from the merged model: set merge: true, or remove gguf"
            )
        if self.onnx and not self.merge:
            raise ValueError(
                "the ONNX file is written from the merged model: set merge: true, or remove onnx"
            )
        if self.browser and not self.gguf:
            raise ValueError("the browser's page loads a GGUF: set gguf: [q4_0], or remove browser")
        return self

    def identity(self) -> dict[str, Any]:
        """With a page goes what it is made of, so that a new page is a new step."""
        said = super().identity()
        if self.browser:
            from alpaca_pipe.export.browser.static_folder import ENGINE

            said["page"] = ENGINE.digest()
        if self.onnx:
            from alpaca_pipe.export.onnx.onnx_folder import digest_of_onnx_page

            said["onnx_page"] = digest_of_onnx_page()
        return said

    def rehearsed(self) -> Self:
        return self.model_copy(update={"check_rows": min(self.check_rows, 2)})


_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def bytes_of(size: str) -> int:
    """Of a size as `save_pretrained(max_shard_size=...)` takes it: 2GB, 512MiB. Raises ValueError."""
    found = re.fullmatch(r"(\d+)\s*([KMG]i?B)", size.strip())
    if not found or not int(found[1]):
        raise ValueError(f"'{size}' is not a size of a file - write it like 2GB or 512MB")
    return int(found[1]) * _UNITS[found[2]]
