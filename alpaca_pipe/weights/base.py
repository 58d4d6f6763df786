"""The recipe's `base:` table: the model that is tuned, whatever form it comes in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, ValidationInfo, model_validator

from alpaca_pipe.core.config_table import Added, ExistingPath, Table, folder_of, wrong_key
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import read_json
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.weights.folder_digest import checkpoint_digest, tokenizer_digest
from alpaca_pipe.weights.gguf import gguf_digest
from alpaca_pipe.weights.known import KNOWN
from alpaca_pipe.weights.new_shape import NewShape

TINY = "tiny"  # a random LLaMA of two layers: proves the road in seconds, knows nothing
NEW = "new"  # a random LLaMA of the recipe's own shape, to be pre-trained
DRAWN = (TINY, NEW)


@dataclass(frozen=True)
class Checkpoint:
    """What `from_pretrained` takes: a folder, or a hub id with its revision."""

    source: str
    revision: str | None = None


def read_model(value: Any, info: ValidationInfo) -> Any:
    """A known name stays; an existing file or folder becomes a path; the rest must look like a hub id."""
    if value in KNOWN or value in DRAWN or isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError("should be the name or the path of a model")
    path = folder_of(value, info) / Path(value).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            why = (
                "is an adapter: merge it first (export)"
                if (path / "adapter_config.json").is_file()
                else "is not one"
            )
            raise ValueError(f"a checkpoint folder has a config.json, and {path} {why}")
        return path
    if path.is_file():
        if path.suffix != ".gguf":
            raise ValueError(
                f"{path} is not a model - give a checkpoint's folder, or a file that ends in .gguf"
            )
        return path
    if value.startswith((".", "/", "~")) or value.endswith(".gguf"):
        raise ValueError(f"no such file or folder: {path}")
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", value, re.ASCII):
        hint = did_you_mean(value, [*KNOWN, *DRAWN])
        raise ValueError(
            f"no model of this name - {hint} Else: org/name on the hub, a folder, or a GGUF file"
        )
    return value


class BaseTable(Table):
    """The base model, known by its content: the same weights at another path are the same step."""

    model: Annotated[
        str | Path,
        PlainValidator(read_model, json_schema_input_type=str),
        Field(
            description="a known name (smollm2-135m-instruct), a hub id (org/name), a checkpoint folder, a GGUF file, or new (drawn, in the shape of `shape`)"
        ),
    ]
    revision: Annotated[str, Field(description="branch, tag or commit of a hub id")] = "main"
    dtype: Annotated[
        Literal["float32", "bfloat16"],
        Field(
            description="type of the weights while training; bfloat16 only where they are frozen (LoRA)"
        ),
    ] = "float32"
    tokenizer: Annotated[
        ExistingPath | None,
        Field(
            description="with model: tiny or new, the checkpoint folder whose tokenizer it takes"
        ),
    ] = None
    shape: Annotated[
        NewShape | None, Added(), Field(description="with model: new, what is drawn")
    ] = None

    @model_validator(mode="after")
    def _has_a_shape(self) -> Self:
        if (self.model == NEW) != (self.shape is not None):
            said = (
                "is drawn in the shape that `shape:` says"
                if self.model == NEW
                else "has its own shape"
            )
            cure = (
                "add base.shape"
                if self.model == NEW
                else "leave base.shape out, or write model: new"
            )
            raise wrong_key("shape", self.shape, f"model {self.model} {said} - {cure}")
        return self

    def identity(self) -> dict[str, Any]:
        said = {"model": self._content(), "dtype": self.dtype}
        return said | ({"cut": "as pre-trained"} if self._is_cut_otherwise() else {})

    def brings(self) -> tuple[Ingredient, ...]:
        return () if self.model in DRAWN else (Ingredient("base", self.tuned_from or self.called),)

    def rehearsed(self) -> Self:
        """A tiny model, with the recipe's own tokenizer where it lies on this machine."""
        if self.model == TINY:
            return self
        return type(self)(model=TINY, tokenizer=self._folder_here(), dtype=self.dtype)

    @property
    def called(self) -> str:
        """A name for others to read: the hub id that a known weight was made from, a folder's or file's own name."""
        if isinstance(self.model, Path):
            return self.model.stem if self.model.suffix == ".gguf" else self.model.name
        return KNOWN[self.model].source_model if self.model in KNOWN else self.model

    @property
    def bytes(self) -> bool:
        """Whether its tokenizer is the stand-in, one token a byte."""
        return self.model in DRAWN and self.tokenizer is None

    @property
    def published(self) -> str:
        """A name for what is sealed, the same wherever the weights lie: of known weights and the hub's the hub id."""
        content = self._content()
        if isinstance(content, dict):
            return str(content.get("hub", TINY))
        known = (weight.source_model for weight in KNOWN.values() if weight.sha256 == content)
        return next(known, f"checkpoint-{content[:12]}")

    @property
    def tuned_from(self) -> str:
        """What the card in a checkpoint's folder names as its `base_model`: the hub id that a tuned model goes back to; or ""."""
        card = self.model / "README.md" if isinstance(self.model, Path) else None
        if card is None or not card.is_file():
            return ""
        head = card.read_text(encoding="utf-8", errors="replace").partition("\n---")[0]
        found = re.search(r"^base_model: +([\w.-]+/[\w.-]+) *$", head, re.MULTILINE | re.ASCII)
        return found[1] if found and head.startswith("---") else ""

    @property
    def on_hub(self) -> bool:
        return isinstance(self.model, str) and self.model not in (*KNOWN, *DRAWN)

    def commit(self) -> str | None:
        """The commit that a hub base's revision stands for: itself, or what the hub's cache on this machine noted."""
        if not self.on_hub or re.fullmatch(r"[0-9a-f]{40}", self.revision):
            return self.revision if self.on_hub else None
        from huggingface_hub import constants

        note = Path(
            constants.HF_HUB_CACHE,
            f"models--{str(self.model).replace('/', '--')}",
            "refs",
            self.revision,
        )
        return note.read_text().strip() if note.is_file() else None

    def parameters(self) -> float | None:
        """About how many weights it has, from what lies here or from its name ("135m", "7b"); None if neither says."""
        if isinstance(self.model, Path) and self.model.is_dir():
            shape = read_json(self.model / "config.json")
            width = (
                2 if shape.get("dtype", shape.get("torch_dtype")) in ("bfloat16", "float16") else 4
            )
            return (
                sum(file.stat().st_size for file in self.model.glob("*.safetensors")) / width
                or None
            )
        if self.model == TINY:
            return 1e5
        said = re.search(
            r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", str(self.called).lower()
        )
        return float(said[1]) * {"m": 1e6, "b": 1e9}[said[2]] if said else None

    def _content(self) -> Any:
        if self.shape:
            return {"new": self.shape.config(), "tokenizer": self._words()}
        if self.model == TINY:
            return {"tiny": self._words()}
        if isinstance(self.model, Path):
            return checkpoint_digest(self.model) if self.model.is_dir() else gguf_digest(self.model)
        return (
            gguf_digest(self.model)
            if self.model in KNOWN
            else {"hub": self.model, "revision": self.revision}
        )

    def _words(self) -> str | None:
        return tokenizer_digest(self.tokenizer) if self.tokenizer else None

    def _is_cut_otherwise(self) -> bool:
        """Whether what was made with it before 2026-11 saw other ids: that is no longer the same step."""
        from alpaca_pipe.weights.checkpoint import reads_otherwise

        is_gguf = self.model in KNOWN or (isinstance(self.model, Path) and not self.model.is_dir())
        return is_gguf and reads_otherwise(self.model)

    def _folder_here(self) -> Path | None:
        from alpaca_pipe.weights.checkpoint import exported_path

        if isinstance(self.model, Path) and self.model.is_dir():
            return self.model
        if isinstance(self.model, Path) or self.model in KNOWN:
            folder = exported_path(self.model)
            return folder if folder.is_dir() else None
        return None


GROWN = "grow/model"  # what a recipe's `grow:` made, as a step reads it
BESIDE = "grow/beside"  # by other methods, a folder each
Growth = Literal["zero_blocks", "stack", "net2net", "ligo", "scratch"]


def base_or_grown(base: BaseTable, inputs: Mapping[str, Path]) -> BaseTable:
    """What is trained, scored and exported: the recipe's base, or what `grow` made of it. inputs: files that the step reads."""
    grown = inputs.get(GROWN)
    return base.model_copy(update={"model": grown}) if grown else base


def resolve(base: BaseTable, say: Callable[[str], None] = lambda sentence: None) -> Checkpoint:
    """What `from_pretrained` takes. A GGUF is exported once into the user's cache (15 to 70 s); a hub id stays one.

    Raises UserError when a known weight is not on this machine or a GGUF is of a kind that cannot be trained.
    """
    if base.model in DRAWN:
        from alpaca_pipe.weights.tiny import tiny_checkpoint

        return Checkpoint(
            str(tiny_checkpoint(base.tokenizer, base.shape.config() if base.shape else None))
        )
    if isinstance(base.model, Path) and base.model.is_dir():
        return Checkpoint(str(base.model))
    if isinstance(base.model, Path) or base.model in KNOWN:
        from alpaca_pipe.weights.checkpoint import export_gguf

        return Checkpoint(str(export_gguf(base.model, say)))
    return Checkpoint(base.model, base.revision)
