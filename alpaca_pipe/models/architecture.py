"""How a LLaMA-like model is built, without loading it: from its config.json, from a table, or guessed from its size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import read_json
from alpaca_pipe.weights.base import TINY, BaseTable


@dataclass(frozen=True)
class Architecture:
    """Layers of attention and gated feed-forward. guessed: only the size was known, and the rest is LLaMA's proportions."""

    hidden: float
    feed_forward: float
    layers: float
    heads: float
    kv_heads: float
    vocabulary: int
    tied: bool = False  # the embedding is the output layer too
    head: float = 0  # width of a head; 0: hidden / heads
    guessed: bool = False

    @property
    def attention_width(self) -> float:
        return self.heads * self.head if self.head else self.hidden

    @property
    def kv_width(self) -> float:
        return self.attention_width * self.kv_heads / self.heads

    @property
    def linear(self) -> float:
        """Parameters of all linear layers but the output layer: what LoRA with `all-linear` adapts."""
        attention = 2 * self.hidden * (self.attention_width + self.kv_width)
        return self.layers * (attention + 3 * self.hidden * self.feed_forward)

    @property
    def multiplied(self) -> float:
        """Parameters that a token is multiplied with: the linear layers and the output layer."""
        return self.linear + self.hidden * self.vocabulary

    @property
    def parameters(self) -> float:
        norms = self.hidden * (2 * self.layers + 1)
        return self.multiplied + (0 if self.tied else self.hidden * self.vocabulary) + norms

    def adapter(self, rank: int, targets: str | tuple[str, ...] = "all-linear") -> float:
        """Parameters of a LoRA adapter: rank x (in + out) for each adapted layer."""
        sides = {
            "q_proj": self.hidden + self.attention_width,
            "k_proj": self.hidden + self.kv_width,
            "v_proj": self.hidden + self.kv_width,
            "o_proj": self.attention_width + self.hidden,
            **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), self.hidden + self.feed_forward),
        }
        named = (
            sides
            if isinstance(targets, str)
            else {name: sides.get(name, max(sides.values())) for name in targets}
        )
        return self.layers * rank * sum(named.values())


LLAMA_7B = Architecture(4096, 11008, 32, 32, 32, 32000)

# As in each model's config.json on the Hugging Face hub (read 2026-11); LLaMA's also in arXiv:2302.13971, table 2.
_KNOWN: tuple[tuple[str, Architecture], ...] = tuple(
    (rf"(?<![a-z]){pattern}(?![\d.])", shape)
    for pattern, shape in (
        (r"llama-7b", LLAMA_7B),
        (r"llama-2-7b", LLAMA_7B),
        (r"(llama|llama-2)-13b", Architecture(5120, 13824, 40, 40, 40, 32000)),
        (r"llama-3[03]b", Architecture(6656, 17920, 60, 52, 52, 32000)),
        (r"llama-65b", Architecture(8192, 22016, 80, 64, 64, 32000)),
        (r"llama-2-70b", Architecture(8192, 28672, 80, 64, 8, 32000)),
        (r"llama-3(\.1)?-8b", Architecture(4096, 14336, 32, 32, 8, 128256)),
        (r"llama-3(\.[13])?-70b", Architecture(8192, 28672, 80, 64, 8, 128256)),
        (r"llama-3\.2-1b", Architecture(2048, 8192, 16, 32, 8, 128256, tied=True)),
        (r"llama-3\.2-3b", Architecture(3072, 8192, 28, 24, 8, 128256, tied=True)),
        (r"smollm2-135m", Architecture(576, 1536, 30, 9, 3, 49152, tied=True)),
        (r"smollm2-360m", Architecture(960, 2560, 32, 15, 5, 49152, tied=True)),
        (r"smollm2-1\.7b", Architecture(2048, 8192, 24, 32, 32, 49152, tied=True)),
        (r"mistral-7b", Architecture(4096, 14336, 32, 32, 8, 32000)),
        (r"qwen2\.5-0\.5b", Architecture(896, 4864, 24, 14, 2, 151936, tied=True)),
        (r"qwen2\.5-1\.5b", Architecture(1536, 8960, 28, 12, 2, 151936, tied=True)),
        (r"qwen2\.5-3b", Architecture(2048, 11008, 36, 16, 2, 151936, tied=True)),
        (r"qwen2\.5-7b", Architecture(3584, 18944, 28, 28, 4, 152064)),
        (r"qwen2\.5-14b", Architecture(5120, 13824, 48, 40, 8, 152064)),
        (r"qwen2\.5-32b", Architecture(5120, 27648, 64, 40, 8, 152064)),
        (r"qwen2\.5-72b", Architecture(8192, 29568, 80, 64, 8, 152064)),
        (r"qwen3-0\.6b", Architecture(1024, 3072, 28, 16, 8, 151936, tied=True, head=128)),
        (r"qwen3-1\.7b", Architecture(2048, 6144, 28, 16, 8, 151936, tied=True, head=128)),
        (r"qwen3-4b", Architecture(2560, 9728, 36, 32, 8, 151936, tied=True, head=128)),
        (r"qwen3-8b", Architecture(4096, 12288, 36, 32, 8, 151936, head=128)),
    )
)


def shape_of(base: BaseTable) -> Architecture | None:
    """From config.json where it lies on this machine, else from the table, else in LLaMA's proportions from the size that
    the name says; None where nothing says it, and for the tiny stand-in."""
    if base.model == TINY:
        return None
    if base.shape:
        return of_config(base.shape.config() | {"vocab_size": _words(base.tokenizer)})
    if folder := files_here(base):
        try:
            return of_config(read_json(folder / "config.json"))
        except (OSError, ValueError, KeyError):
            pass
    if known := shape_named(base.called):
        return known
    size = base.parameters()
    return of_size(size) if size else None


def shape_in(tables: Mapping[str, Any]) -> Architecture | None:
    """Of what a recipe trains: its base's, or what `grow:` makes of it. tables: all of the recipe, by name."""
    base, grow = tables.get("base"), tables.get("grow")
    shape = shape_of(base) if base else None
    return grow.grown(shape) if shape and grow else shape


def parameters_in(tables: Mapping[str, Any]) -> float | None:
    """How many weights a recipe trains; None where nothing says it."""
    base, grow = tables.get("base"), tables.get("grow")
    shape = shape_in(tables) if grow or getattr(base, "shape", None) else None
    return shape.parameters if shape else base.parameters() if base else None


def _words(tokenizer: Path | None) -> int:
    """How many a tokenizer has; of the stand-in 256 bytes and three."""
    if tokenizer is None:
        return 259
    from alpaca_pipe.models.tokenizer_table import tokens_of

    if not (tokens := tokens_of(tokenizer)):
        raise UserError(
            f"{tokenizer}: its vocabulary cannot be read, so the size of the model is not known",
            "name the folder of a tokenizer that has a tokenizer.json",
        )
    return len(tokens)


def shape_named(model: str) -> Architecture | None:
    """Of a model that the table knows by its hub id or its name."""
    return next((shape for pattern, shape in _KNOWN if re.search(pattern, model.lower())), None)


def of_config(config: Mapping[str, Any]) -> Architecture:
    """Raises KeyError for an architecture that is built of something else."""
    heads = config["num_attention_heads"]
    return Architecture(
        config["hidden_size"],
        config["intermediate_size"],
        config["num_hidden_layers"],
        heads,
        config.get("num_key_value_heads") or heads,
        config["vocab_size"],
        bool(config.get("tie_word_embeddings")),
        config.get("head_dim") or 0,
    )


def of_size(parameters: float) -> Architecture:
    """A model of so many parameters in LLaMA-7B's proportions."""
    found, grow = LLAMA_7B, 1.0
    for _ in range(12):  # the embedding grows more slowly than the layers, so by approach
        grow *= (parameters / found.parameters) ** (1 / 3)
        found = replace(
            LLAMA_7B, hidden=4096 * grow, feed_forward=11008 * grow, layers=32 * grow, guessed=True
        )
    return found


def has_weights(base: BaseTable) -> bool:
    """Whether its weights lie on this machine, so that a run need not fetch them."""
    if not base.on_hub:
        return True
    folder = _snapshot(base)
    return folder is not None and any(folder.glob("*.safetensors"))


def files_here(base: BaseTable) -> Path | None:
    """The folder of a checkpoint that lies on this machine, fetched from the hub or not."""
    if isinstance(base.model, Path):
        return base.model if base.model.is_dir() else None
    folder = _snapshot(base) if base.on_hub else None
    return folder if folder and (folder / "config.json").is_file() else None


def _snapshot(base: BaseTable) -> Path | None:
    """The folder in which the hub's cache on this machine keeps a model, or None."""
    from huggingface_hub import constants

    commit = base.commit()
    folder = Path(
        constants.HF_HUB_CACHE,
        f"models--{str(base.model).replace('/', '--')}",
        "snapshots",
        commit or "none",
    )
    return folder if folder.is_dir() else None
