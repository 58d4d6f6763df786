"""Rows laid end to end without padding, each seeing only itself: exact attention, row by row.

Transformers' own way would build a mask of all tokens against all tokens, most of it forbidden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

NAME = "rows_apart"


def lay_end_to_end(model: PreTrainedModel, longest: int) -> bool:
    """Switches the model to this attention; False where its attention looks at less than a row of `longest` tokens.

    That the model's own attention and this one agree is the probe's to say (probe.py).
    """
    config = model.config.get_text_config()
    windows = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    window = (
        getattr(config, "sliding_window", None)
        if getattr(config, "use_sliding_window", True)
        else None
    )
    if windows - {"sliding_attention"} or (window is not None and window < longest):
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
    row_runs: tuple[tuple[int, int], ...],
    row_reads: torch.Tensor | None = None,
    row_returns: torch.Tensor | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    scaling: float | None = None,
    dropout: float = 0.0,
    **unused: Any,
) -> tuple[torch.Tensor, None]:
    """query, key, value: (1, heads, places, size), laid out as micro_batches.MicroBatch says."""
    if row_reads is not None:
        query, key, value = (part.index_select(2, row_reads) for part in (query, key, value))
    if query.is_cuda and dropout == 0.0 and query.element_size() == 2 and _has_varlen():
        found = _on_gpu(query, key, value, cu_seq_lens_q, max_length_q, scaling)
    else:
        found = _by_runs(query, key, value, row_runs, scaling, dropout)
    if row_returns is not None:
        found = found.index_select(1, row_returns)
    return found, None


def _by_runs(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    runs: tuple[tuple[int, int], ...],
    scaling: float | None,
    dropout: float,
) -> torch.Tensor:
    """One call for all rows of one length. `split`, not slices: the gradient of each slice is as wide as all rows."""
    import torch

    sizes = [rows * length for rows, length in runs]
    grouped = query.shape[1] != key.shape[1]
    parts = zip(*(part[0].split(sizes, dim=1) for part in (query, key, value)), runs, strict=True)
    found = []
    for q, k, v, (rows, _) in parts:
        q, k, v = (part.unflatten(1, (rows, -1)).transpose(0, 1) for part in (q, k, v))
        one = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        found.append(one.transpose(1, 2).flatten(0, 1))  # (rows x tokens, heads, size)
    return torch.cat(found)[None]


def _has_varlen() -> bool:
    from importlib.util import find_spec

    return find_spec("torch.nn.attention.varlen") is not None


def _on_gpu(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    ends: torch.Tensor | None,
    longest: int,
    scaling: float | None,
) -> torch.Tensor:
    """All rows in one kernel. torch 2.11 has no grouped heads here, so the key's and value's are repeated."""
    from torch.nn.attention.varlen import varlen_attn

    assert ends is not None
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))  # (tokens, heads, size)
    if q.shape[1] != k.shape[1]:
        k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], dim=1) for part in (k, v))
    found: torch.Tensor = varlen_attn(  # type: ignore[assignment]
        q, k, v, ends, ends, longest, longest, scale=scaling, window_size=(-1, 0)
    )
    return found[None]
