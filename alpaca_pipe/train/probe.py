"""Before a tune: rows laid end to end give the loss and the gradient of rows asked alone, by the model's own attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.train.micro_batches import Row, as_padded_tensors, as_tensors, lay_out
from alpaca_pipe.train.trainer import nats_by_logits, nats_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_ROWS = 4
_LONGEST = 512  # tokens of a row; four longer ones tell no more and take longer
_NEAR = {4: 1e-3, 2: 5e-2}  # by bytes of a weight: relative to the largest gradient


def agrees(model: PreTrainedModel, rows: Sequence[Encoded], own: str) -> bool:
    """Whether attention.py and response_loss.py compute what the model's own code does, on a few of the real rows.

    own: the name of the attention that the model came with. It is left with attention.py's where they agree, with its own
    where they do not.
    """
    data = _few(rows)
    ours = _measured(_apart, model, data)
    name = model.config._attn_implementation
    model.set_attn_implementation(own)
    same = _alike(model, ours, _measured(_alone, model, data))
    if same:
        model.set_attn_implementation(name)
    return same


def stays(model: PreTrainedModel, rows: Sequence[Encoded], change: Callable[[], None]) -> bool:
    """Whether the model's own loss and gradient of a few of the rows are after `change` what they were before it."""
    data = _few(rows)
    before = _measured(_alone, model, data)
    change()
    return _alike(model, _measured(_alone, model, data), before)


def _few(rows: Sequence[Encoded]) -> list[Row]:
    few = sorted(rows, key=lambda row: len(row.ids))[:: max(1, len(rows) // _ROWS)][:_ROWS]
    data = [Row.of(row.ids[:_LONGEST], row.mask[:_LONGEST]) for row in few]
    return sorted((row for row in data if row.learned), key=lambda row: list(row.ids))


def _measured(loss: Any, model: PreTrainedModel, rows: Sequence[Row]) -> list[torch.Tensor]:
    """The loss and its gradients, in evaluation mode; the model is left as it was."""
    weights = _some_weights(model)
    before, training = [weight.requires_grad for weight in weights], model.training
    model.eval()
    for weight in weights:
        weight.requires_grad_(True)
    found = _loss_and_gradient(loss, model, rows, weights)
    for weight, wanted in zip(weights, before, strict=True):
        weight.requires_grad_(wanted)
    model.train(training)
    return found


def _alike(
    model: PreTrainedModel, ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]
) -> bool:
    import torch

    width = 2 if model.device.type == "cuda" else _some_weights(model)[0].element_size()
    return all(
        bool(torch.isfinite(a).all())
        and bool((a - b).abs().max() <= _NEAR[width] * b.abs().max().clamp(min=1e-6))
        for a, b in zip(ours, theirs, strict=True)
    )


def _some_weights(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """The first and the last matrices inside the layers: what reaches them has gone through all attention."""
    inside = [
        weight
        for name, weight in model.named_parameters()
        if ".layers." in name and weight.ndim == 2 and weight.is_floating_point()
    ] or [weight for weight in model.parameters() if weight.is_floating_point()]
    return [inside[0], inside[-1]]


def _loss_and_gradient(
    loss: Any, model: PreTrainedModel, rows: Sequence[Row], weights: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    import torch

    with torch.autocast("cuda", torch.bfloat16, enabled=model.device.type == "cuda"):
        found = loss(model, rows)
    return [found.detach(), *torch.autograd.grad(found, weights)]


def _on(model: PreTrainedModel, inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.to(model.device) if hasattr(value, "to") else value
        for name, value in inputs.items()
    }


def _apart(model: PreTrainedModel, rows: Sequence[Row]) -> torch.Tensor:
    head = model.get_output_embeddings()
    return nats_of(model, head, _on(model, as_tensors(lay_out(rows))))


def _alone(model: PreTrainedModel, rows: Sequence[Row]) -> torch.Tensor:
    """By the model's own attention, head and logits, one row after the other."""
    import torch

    total = torch.zeros((), device=model.device)
    for row in rows:
        total = total + nats_by_logits(model, _on(model, as_padded_tensors([row], 0)))
    return total
