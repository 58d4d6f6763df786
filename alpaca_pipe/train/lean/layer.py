"""A decoder layer as LLaMA has it, computed by the functions beside this file; other layers keep their own code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from alpaca_pipe.train.lean.feed_forward import gated_down
from alpaca_pipe.train.lean.linears import (
    Norm,
    is_plain_adapter,
    is_plain_linear,
    linear_of,
    linears,
)
from alpaca_pipe.train.lean.rotary import rotated
from alpaca_pipe.train.lean.runs import attended

if TYPE_CHECKING:
    import torch

_LINEAR = r"(self_attn\.[qkvo]|mlp\.(gate|up|down))_proj\.(base_layer\.)?(weight|bias)"
_ADAPTER = r"(self_attn\.[qkvo]|mlp\.(gate|up|down))_proj\.lora_[AB]\.\w+\.weight"
_NORM = r"((input|post_attention)_layernorm|self_attn\.[qk]_norm)\.weight"
_KNOWN = re.compile(f"{_LINEAR}|{_ADAPTER}|{_NORM}")


def may_be_lean(layer: Any) -> bool:
    """Whether all its weights have names that we know, and all its parts are what we compute. Its values tell the rest."""
    names = [name for name, _ in layer.named_parameters()]
    if not all(_KNOWN.fullmatch(name) for name in names):
        return False
    if not all(hasattr(layer, part) for part in ("self_attn", "mlp", "post_attention_layernorm")):
        return False
    attention, inner = layer.self_attn, layer.mlp
    parts = [getattr(attention, f"{one}_proj", None) for one in "qkvo"]
    parts += [getattr(inner, f"{one}_proj", None) for one in ("gate", "up", "down")]
    return (
        all(is_plain_linear(part) or is_plain_adapter(part) for part in parts)
        and not getattr(attention, "attention_dropout", 0.0)
        and hasattr(attention, "head_dim")
    )


def lean_forward(layer: Any) -> Any:
    """The forward of `layer`, of rows laid end to end; anything else, as a cache of keys, goes its own way."""
    own, attention, inner = layer.forward, layer.self_attn, layer.mlp

    def forward(
        hidden_states: torch.Tensor,
        *args: Any,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Any = None,
        position_embeddings: Any = None,
        **rest: Any,
    ) -> Any:
        alone = args or attention_mask is not None or past_key_values is not None
        if alone or "row_runs" not in rest or position_embeddings is None:
            return own(
                hidden_states,
                *args,
                attention_mask=attention_mask,
                past_key_values=past_key_values,
                position_embeddings=position_embeddings,
                **rest,
            )
        x = hidden_states
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        read = linears(x, tuple(map(linear_of, projections)), _norm(layer.input_layernorm))
        heads = _attention(attention, read, position_embeddings, rest)
        (x,) = linears(heads.view(*x.shape[:-1], -1), (linear_of(attention.o_proj),), onto=x)
        both = (linear_of(inner.gate_proj), linear_of(inner.up_proj))
        gate, up = linears(x, both, _norm(layer.post_attention_layernorm))
        return gated_down(gate, up, linear_of(inner.down_proj), onto=x)

    return forward


def _attention(
    module: Any, read: tuple[torch.Tensor, ...], angles: Any, layout: dict[str, Any]
) -> torch.Tensor:
    query, key, value = (one[0].unflatten(-1, (-1, module.head_dim)) for one in read)
    if hasattr(module, "q_norm"):
        query, key = module.q_norm(query), module.k_norm(key)
    half = module.head_dim // 2
    cos, sin = (one[0, :, None, :half] for one in angles)
    reads, returns = layout.get("row_reads"), layout.get("row_returns")
    query, key = rotated(query, cos, sin), rotated(key, cos, sin)
    return attended(query, key, value, layout["row_runs"], reads, returns, module.scaling)


def _norm(module: Any) -> Norm:
    epsilon = getattr(module, "variance_epsilon", None)
    return Norm(module.weight, module.eps if epsilon is None else epsilon)
