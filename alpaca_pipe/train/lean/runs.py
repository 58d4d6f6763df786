"""Attention of rows laid end to end, of which queries, keys and values are kept as they lie, not as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Runs = tuple[tuple[int, int], ...]  # (rows, tokens of each), as micro_batches.MicroBatch has them


def attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    runs: Runs,
    reads: torch.Tensor | None,
    returns: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """query, key, value (places, heads, size), fp32 on a CPU; what each place is given: (places, heads, size).

    Heads of key and value may be fewer: each serves as many queries as follow each other.
    """
    found: torch.Tensor = _attended().apply(query, key, value, runs, reads, returns, scaling)
    return found


def _by_rows(runs: Runs, tensors: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """For each run its part of every tensor (tokens, heads, size), as (rows, heads, tokens of one, size)."""
    sizes = [rows * length for rows, length in runs]
    parts = zip(*(one.split(sizes) for one in tensors), strict=True)
    for (rows, _), part in zip(runs, parts, strict=True):
        yield [one.unflatten(0, (rows, -1)).transpose(1, 2) for one in part]


@cache
def _attended() -> Any:
    import torch

    forward_of = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    backward_of = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward

    def read(tensors: list[torch.Tensor], reads: torch.Tensor | None) -> list[torch.Tensor]:
        return tensors if reads is None else [one.index_select(0, reads) for one in tensors]

    class Attended(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            query: torch.Tensor,
            key: torch.Tensor,
            value: torch.Tensor,
            runs: Runs,
            reads: torch.Tensor | None,
            returns: torch.Tensor | None,
            scaling: float | None,
        ) -> torch.Tensor:
            made, sizes = [], []
            for q, k, v in _by_rows(runs, read([query, key, value], reads)):
                one, size = forward_of(q, k, v, 0.0, True, scale=scaling)
                made.append(one.transpose(1, 2).flatten(0, 1))
                sizes.append(size)
            out = made[0] if len(made) == 1 else torch.cat(made)
            out = out if returns is None else out.index_select(0, returns)
            ctx.save_for_backward(query, key, value, out, reads, returns, *sizes)
            ctx.runs, ctx.scaling = runs, scaling
            return out

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> Any:
            query, key, value, out, reads, returns, *sizes = ctx.saved_tensors
            if returns is not None:  # a place that rows share is given to the backward pass once
                tokens = sum(rows * length for rows, length in ctx.runs)
                grad = grad.new_zeros(tokens, *grad.shape[1:]).index_copy_(0, returns, grad)
            found: list[list[torch.Tensor]] = [[], [], []]
            tensors = [grad, *read([query, key, value, out], reads)]
            for size, (g, q, k, v, o) in zip(sizes, _by_rows(ctx.runs, tensors), strict=True):
                slopes = backward_of(g, q, k, v, o, size, 0.0, True, scale=ctx.scaling)
                for place, slope in zip(found, slopes, strict=True):
                    place.append(slope.transpose(1, 2).flatten(0, 1))
            whole = [one[0] if len(one) == 1 else torch.cat(one) for one in found]
            if reads is not None:
                whole = [
                    torch.zeros_like(like).index_add_(0, reads, one)
                    for like, one in zip((query, key, value), whole, strict=True)
                ]
            return *whole, None, None, None, None

    return Attended
