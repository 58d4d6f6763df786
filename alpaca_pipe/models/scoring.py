"""How well a model predicts the answers of encoded rows: response-only loss, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.models.loss_mask import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class ResponseLoss(NamedTuple):
    """Sum over the learned positions of one row (answer and EOS)."""

    nats: float
    tokens: int


def response_losses(
    model: PreTrainedModel,
    rows: Sequence[Encoded],
    batch_tokens: int = 2048,
    after_batch: Callable[[int], None] = lambda done: None,
) -> list[ResponseLoss]:
    """The response-only loss of each row, in the order given.

    Rows of like length share a batch of at most `batch_tokens` padded positions; only learned positions go through
    the LM head. `after_batch` is told how many rows are done. Log-probabilities are taken in fp32.
    The model must be in eval mode: with dropout on, a score means nothing.
    """
    import torch

    if model.training:
        raise ValueError("the model is in training mode: call model.eval() first")
    answer: list[ResponseLoss] = [ResponseLoss(0.0, 0)] * len(rows)
    done = 0
    with torch.inference_mode():
        for batch in _batches([len(row.ids) for row in rows], batch_tokens):
            for index, loss in zip(batch, _score(model, [rows[i] for i in batch]), strict=True):
                answer[index] = loss
            done += len(batch)
            after_batch(done)
    return answer


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
