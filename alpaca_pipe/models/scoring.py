"""How well a model predicts the answers of encoded rows: response-only loss, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.models.loss_mask import Encoded, EncodedRow

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class ResponseLoss(NamedTuple):
    """Sum over the learned positions of one row (its answers, each with its end)."""

    nats: float
    tokens: int


def response_losses(
    model: PreTrainedModel,
    rows: Sequence[EncodedRow],
    batch_tokens: int = 2048,
    after_batch: Callable[[int], None] = lambda done: None,
) -> list[ResponseLoss]:
    """The response-only loss of each row, in the order given.

    Sequences of like length share a batch of at most `batch_tokens` padded positions; only learned positions go through
    the LM head. `after_batch` is told how many rows are done. Log-probabilities are taken in fp32.
    The model must be in eval mode: with dropout on, a score means nothing.
    """
    import torch

    if model.training:
        raise ValueError("the model is in training mode: call model.eval() first")
    parts = [(row, part) for row, parts in enumerate(rows) for part in parts]
    losses: list[list[ResponseLoss]] = [[] for _ in rows]
    with torch.inference_mode():
        for batch in _batches([len(part.ids) for _, part in parts], batch_tokens):
            scores = _score(model, [parts[place][1] for place in batch])
            for place, loss in zip(batch, scores, strict=True):
                losses[parts[place][0]].append(loss)
            after_batch(
                sum(len(found) == len(row) for found, row in zip(losses, rows, strict=True))
            )
    return [
        ResponseLoss(sum(one.nats for one in found), sum(one.tokens for one in found))
        for found in losses
    ]


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indexes in batches, longest first; a batch's rows times its longest row stay within batch_tokens."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _score(model: PreTrainedModel, rows: Sequence[Encoded]) -> list[ResponseLoss]:
    import torch

    device = model.device
    width = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    real = torch.zeros(len(rows), width, dtype=torch.long)
    learned = torch.zeros(len(rows), width, dtype=torch.bool)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = torch.tensor(row.ids)
        real[place, : len(row.ids)] = 1
        learned[place, : len(row.ids)] = torch.tensor(row.mask)
    # position t is predicted at t-1; right padding never reaches a real position under causal attention
    targets, learned = ids[:, 1:], learned[:, 1:]
    first = int(learned.any(dim=0).nonzero()[0]) if learned.any() else width - 1
    logits = model(
        input_ids=ids.to(device),
        attention_mask=real.to(device),
        use_cache=False,
        logits_to_keep=torch.arange(first, width - 1, device=device),
    ).logits
    targets, learned = targets[:, first:].to(device), learned[:, first:].to(device)
    losses = torch.nn.functional.cross_entropy(
        logits[learned].float(), targets[learned], reduction="none"
    ).double()
    owner = learned.nonzero()[:, 0]
    sums = torch.zeros(len(rows), dtype=torch.float64, device=device).index_add(0, owner, losses)
    return [
        ResponseLoss(nats, tokens)
        for nats, tokens in zip(sums.tolist(), learned.sum(dim=1).tolist(), strict=True)
    ]
