"""Rows laid end to end without padding, each seeing only itself: one exact attention call a row.

Transformers' own way would build a mask of all tokens against all tokens, most of it forbidden.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

NAME = "rows_apart"

# Architectures whose attention is plain causal softmax; any other is trained padded, with its own attention.
_PLAIN = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})


def lay_end_to_end(model: PreTrainedModel) -> bool:
    """Switches the model to this attention where that is exact; False where the model needs padded batches."""
    config = model.config.get_text_config()
    windows = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    window = (
        getattr(config, "sliding_window", None)
        if getattr(config, "use_sliding_window", True)
        else None
    )
    if config.model_type not in _PLAIN or window is not None or windows:
        return False
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, rows_apart)
    model.set_attn_implementation(NAME)
    return True


def rows_apart(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cu_seq_lens_q: torch.Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    **unused: Any,
) -> tuple[torch.Tensor, None]:
    """query, key, value: (1, heads, tokens, size); row i is tokens cu_seq_lens_q[i] to cu_seq_lens_q[i+1]."""
    import torch

    ends = cu_seq_lens_q.tolist()
    grouped = query.shape[1] != key.shape[1]
    rows = [
        torch.nn.functional.scaled_dot_product_attention(
            query[:, :, start:end],
            key[:, :, start:end],
            value[:, :, start:end],
            dropout_p=dropout,
            is_causal=True,
            scale=scaling,
            enable_gqa=grouped,
        )
        for start, end in pairwise(ends)
    ]
    return torch.cat(rows, dim=2).transpose(1, 2).contiguous(), None
