"""The table `export:` of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.config_table import Added, Table
from alpaca_pipe.data.source_kinds import Published

ROWS, TRAIN, HELD_OUT = "curate/examples.jsonl", "curate/train.jsonl", "curate/held_out.jsonl"
TRAINED, VERDICT = "train/model", "evaluate/verdict.json"


class ExportConfig(Table):
    """What is written for use elsewhere."""

    merge: bool = Field(True, description="the tuned model as one checkpoint, adapter merged in")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the saved weights; merging is always fp32"
    )
    gguf: Annotated[tuple[Literal["f16", "q8_0", "q4_0"], ...], Added()] = Field(
        (),
        description="GGUF files of the merged model for llama.cpp and Ollama, each of them held against it first",
    )
    browser: Annotated[bool, Added()] = Field(
        False,
        description="a folder of static files with the first GGUF: a page that answers in the browser itself",
    )
    dataset: tuple[Published, ...] = Field(
        ("json", "jsonl", "datasets"),
        description="formats of the dataset: json is "
        "alpaca_data.json, datasets is a folder for load_dataset",
    )
    check_rows: int = Field(
        8, ge=1, description="held-out rows on which the reloaded model is compared"
    )

    @model_validator(mode="after")
    def _of_a_merged_model(self) -> Self:
        if self.gguf and not self.merge:
            raise ValueError(
                "a GGUF is written from the merged model: set merge: true, or take gguf out"
            )
        if self.browser and not self.gguf:
            raise ValueError(
                "the browser's page loads a GGUF: set gguf: [q4_0], or take browser out"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """With the browser's page goes what it is made of, so that a new page is a new step."""
        said = super().identity()
        if not self.browser:
            return said
        from alpaca_pipe.export.browser.static_folder import digest_of_page

        return said | {"page": digest_of_page()}

    def rehearsed(self) -> Self:
        return self.model_copy(update={"check_rows": min(self.check_rows, 2)})
