"""A few steps of gradient descent on texts: of a drawn base before it grows, or of the maps by which it grows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    import torch


class Descent(NamedTuple):
    """The loss of the last step, and how many tokens all steps saw."""

    loss: float
    tokens: int


def descend(
    parameters: Iterable[torch.Tensor],
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    batches: Iterator[torch.Tensor],
    steps: int,
    rate: float,
    log: Path,
    at: Callable[[int, float], None],
) -> Descent:
    """AdamW without decay, the rate warmed up over a twentieth and then falling as a cosine to a tenth. Always from the first
    step, so that it ends with the same bytes whenever it was killed. log: JSON lines {step, loss, tokens}. UserError for a
    loss that is no number."""
    import torch

    held = list(parameters)
    optimizer = torch.optim.AdamW(held, lr=rate, weight_decay=0.0, betas=(0.9, 0.95))
    warm, tokens, value = max(1, steps // 20), 0, math.nan
    with log.open("w", encoding="utf-8") as lines:
        for step in range(1, steps + 1):
            left = (step - warm) / max(1, steps - warm)
            share = step / warm if step <= warm else 0.55 + 0.45 * math.cos(math.pi * left)
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            batch = next(batches)
            loss = loss_of(batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(held, 1.0)
            optimizer.step()
            value, tokens = float(loss.detach()), tokens + batch.numel()
            if not math.isfinite(value):
                raise UserError(
                    f"grow: at step {step} the loss is not a number", "lower the learning rate"
                )
            lines.write(json.dumps({"step": step, "loss": value, "tokens": tokens}) + "\n")
            at(step, value)
    return Descent(value, tokens)


def batches_of(rows: Sequence[Sequence[int]], size: int, seed: int) -> Iterator[torch.Tensor]:
    """(rows, tokens) of rows of equal length, drawn anew in each pass; without end. All rows at once where they are fewer than `size`."""
    import torch

    longest = max(map(len, rows))
    table = torch.tensor([row for row in rows if len(row) == longest])
    size = min(size, len(table))
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(table), generator=generator)
        for start in range(0, len(order) - size + 1, size):
            yield table[order[start : start + size]]


def next_token_loss(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Mean over all tokens of a batch but the first of each row."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())
