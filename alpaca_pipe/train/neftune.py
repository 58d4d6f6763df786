"""NEFTune (Jain et al. 2023, arXiv:2310.05914): noise on the embeddings while training, of rows laid end to end too.

Transformers' own takes a batch's width for the length of its rows; where rows lie end to end that is the length of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def noise(
    embedding: torch.nn.Module, alpha: float | None, lengths: torch.Tensor | None
) -> Iterator[None]:
    """Inside, uniform noise of at most alpha / sqrt(length x size) is added to what `embedding` gives.

    lengths: of the row that each place belongs to, in the shape of input_ids.
    """
    if alpha is None or lengths is None:
        yield
        return

    def add(module: Any, given: Any, found: torch.Tensor) -> torch.Tensor:
        import torch

        most = alpha / (lengths.to(found.device) * found.shape[-1]).sqrt()
        return found + most[..., None].to(found.dtype) * torch.empty_like(found).uniform_(-1, 1)

    hook = embedding.register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()


def lengths_of(inputs: dict[str, Any]) -> torch.Tensor:
    """Of the row that each place of a micro-batch belongs to. Rows lie end to end in reading order, none of them shared."""
    import torch

    if "row_runs" not in inputs:
        tokens: torch.Tensor = inputs["attention_mask"].sum(dim=1, keepdim=True)
        return tokens.expand_as(inputs["input_ids"])
    lengths = [length for rows, length in inputs["row_runs"] for _ in range(rows * length)]
    if inputs["row_returns"] is not None:  # laid down in another order than they are read
        return torch.tensor([lengths])[:, inputs["row_returns"].cpu()]
    return torch.tensor([lengths])
