"""A checkpoint's config as the keys of a GGUF: the architectures that are written, and their hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from gguf import GGUFWriter

# transformers' model_type -> (llama.cpp's name, whether Q and K are stored in the order of interleaved rotation)
_ARCHITECTURES = {
    "llama": ("llama", True),
    "mistral": ("llama", True),
    "qwen2": ("qwen2", False),
    "qwen3": ("qwen3", False),
}
_ONLY_MERGED = "leave export.gguf out and use merged/"


@dataclass(frozen=True)
class GgufArchitecture:
    """What a GGUF says of a model beside its vocabulary. rope: `rope_parameters`, or what older configs write instead."""

    name: str
    interleaved: bool
    config: Mapping[str, Any]
    rope: Mapping[str, Any]

    @staticmethod
    def of(config: Mapping[str, Any]) -> GgufArchitecture:
        """Raises UserError for an architecture or a rotation that is not written."""
        kind = str(config.get("model_type"))
        if kind not in _ARCHITECTURES:
            raise UserError(
                f"no GGUF can be written of a {kind} model yet: only of {', '.join(_ARCHITECTURES)}",
                _ONLY_MERGED,
            )
        if config.get("sliding_window") and config.get("use_sliding_window", kind == "mistral"):
            raise UserError(
                f"no GGUF can be written: this {kind} model attends within a sliding window",
                _ONLY_MERGED,
            )
        rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
        rope.setdefault("rope_theta", config.get("rope_theta", 10000.0))
        rope.setdefault("rope_type", rope.get("type", "default"))
        if rope["rope_type"] not in ("default", "linear", "llama3"):
            raise UserError(
                f"no GGUF can be written: positions are scaled by {rope['rope_type']!r}",
                _ONLY_MERGED,
            )
        return GgufArchitecture(*_ARCHITECTURES[kind], config, rope)

    @property
    def layers(self) -> int:
        return int(self.config["num_hidden_layers"])

    @property
    def heads(self) -> int:
        return int(self.config["num_attention_heads"])

    @property
    def key_value_heads(self) -> int:
        return int(self.config.get("num_key_value_heads") or self.heads)

    @property
    def head_size(self) -> int:
        return int(self.config.get("head_dim") or self.config["hidden_size"] // self.heads)

    def write(self, writer: GGUFWriter) -> None:
        from gguf import RopeScalingType

        writer.add_context_length(int(self.config["max_position_embeddings"]))
        writer.add_embedding_length(int(self.config["hidden_size"]))
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(int(self.config["intermediate_size"]))
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.key_value_heads)
        writer.add_key_length(self.head_size)
        writer.add_value_length(self.head_size)
        writer.add_layer_norm_rms_eps(float(self.config["rms_norm_eps"]))
        writer.add_rope_dimension_count(self.head_size)
        writer.add_rope_freq_base(float(self.rope["rope_theta"]))
        writer.add_vocab_size(int(self.config["vocab_size"]))
        if self.rope["rope_type"] == "linear":
            writer.add_rope_scaling_type(RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(float(self.rope["factor"]))

    def rope_factors(self) -> list[float] | None:
        """By how much Llama 3.1 slows each pair's rotation: llama.cpp reads it as a tensor, one number a pair."""
        if self.rope["rope_type"] != "llama3":
            return None
        from math import pi

        factor, context = (
            float(self.rope["factor"]),
            float(self.rope["original_max_position_embeddings"]),
        )
        low, high = float(self.rope["low_freq_factor"]), float(self.rope["high_freq_factor"])
        factors = []
        for pair in range(self.head_size // 2):
            wave = 2 * pi * float(self.rope["rope_theta"]) ** (2 * pair / self.head_size)
            turns = context / wave
            smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
            factors.append(1 / ((1 - smooth) / factor + smooth))
        return factors
