"""TRL's trainers ask a model for the log-probabilities of a whole batch of answers; on a CPU they are computed as train computes
its loss: rows without padding, a common opening once, a part of the rows at a time, the head on learned places only."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.align.head_log_probs import SaidOfPlaces, said_of_places
from alpaca_pipe.train.attention import NAME, lay_end_to_end
from alpaca_pipe.train.cost_estimate import TOKENS_ON_CPU
from alpaca_pipe.train.lean.replace import make_lean
from alpaca_pipe.train.micro_batches import IGNORED, Row, as_tensors, micro_batches

if TYPE_CHECKING:
    import torch

_KNOWN = {"input_ids", "attention_mask", "labels", "use_cache", "return_dict"}
_NEAR = {4: 1e-4, 2: 5e-2}  # by bytes of a weight: of log-probabilities, in nats
# Rows of a probe: two that begin alike, a short one, one that is padded on both sides.
_IDS = [[1, 2, 3, 4, 5, 6], [1, 2, 3, 7, 8, 9], [5, 4, 3, 0, 0, 0], [0, 0, 1, 2, 5, 0]]
_REAL = [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0]]
_FIRST = [4, 3, 1, 4]  # the first place of each that is learned


@dataclass(frozen=True)
class SaidOfAnswers:
    """What TRL reads of a model with a fused head, per token (rows, width - 1), 0 where nothing is learned: ln p of the next
    token, with its gradient; entropy, mean of the logits; whether it is the likeliest."""

    log_probs: torch.Tensor
    entropy: torch.Tensor
    mean_logits: torch.Tensor
    is_top1: torch.Tensor
    aux_loss: None = None


def answer_in_parts(model: Any, longest: int, temperature: float = 1.0) -> bool:
    """Whether `model`, which TRL has given a fused head, is now asked in parts; where it lies on a GPU or our code does not give
    the values of TRL's, it stays as it is.

    longest: tokens of a row. temperature: what TRL divides the logits by. The numbers are those of before, but for the order
    of sums; what is held is what `train` holds for so many tokens.
    """
    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    own = bare.config._attn_implementation
    may_be = bare.device.type == "cpu" and lay_end_to_end(bare, longest)
    make_lean(model)
    if not may_be:
        return False
    bare.set_attn_implementation(own)
    whole, parts = bare.forward, _forward_of(bare, temperature)
    if not _agree(model, bare, whole, parts):
        return False
    bare.forward = parts
    return True


def _forward_of(bare: Any, temperature: float) -> Any:
    whole = bare.forward

    @functools.wraps(whole)
    def forward(*args: Any, fused_lm_head: bool = False, **rest: Any) -> Any:
        given = {
            name for name, value in rest.items() if value is not None
        }  # peft names all it knows
        if not fused_lm_head or args or given - _KNOWN:
            return whole(*args, fused_lm_head=fused_lm_head, **rest)
        return _said(bare, rest, temperature)

    return forward


def _said(bare: Any, inputs: Mapping[str, Any], temperature: float) -> SaidOfAnswers:
    """inputs: input_ids, attention_mask, labels, all (rows, width); a row's tokens stand side by side. Of the parts that have
    a gradient only the last keeps what it needs for it: the backward pass begins there, and computes the others anew."""
    import torch
    from torch.utils.checkpoint import checkpoint

    ids, real, labels = (inputs[name] for name in ("input_ids", "attention_mask", "labels"))
    rows = [_row(number, *row) for number, row in enumerate(zip(ids, real, labels, strict=True))]
    batches = list(micro_batches(rows, len(rows), tokens=TOKENS_ON_CPU))
    found = []
    for number, batch in enumerate(batches):
        part = functools.partial(_said_of_part, bare, as_tensors(batch), temperature)
        again = torch.is_grad_enabled() and number < len(batches) - 1
        found.append(checkpoint(part, use_reentrant=False) if again else part())
    learned = (labels[:, 1:] != IGNORED) & (real[:, 1:] != 0)
    columns = [one.nonzero()[:, 0] for one in learned]
    order = [number for batch in batches for number in batch.numbers]
    at = (
        torch.cat([torch.full_like(columns[number], number) for number in order]),
        torch.cat([columns[number] for number in order]),
    )
    told = [torch.cat(parts) for parts in zip(*found, strict=True)]
    return SaidOfAnswers(*(one.new_zeros(learned.shape).index_put(at, one) for one in told))


def _row(number: int, ids: torch.Tensor, real: torch.Tensor, labels: torch.Tensor) -> Row:
    places = real.nonzero()[:, 0]
    first, last = int(places[0]), int(places[-1]) + 1
    targets = [*labels[first + 1 : last].tolist(), IGNORED]
    return Row(ids[first:last].tolist(), targets, number=number)


def _said_of_part(bare: Any, batch: Mapping[str, Any], temperature: float) -> SaidOfPlaces:
    ours = ("targets", "weights", "learned", "numbers")
    layout = {name: value for name, value in batch.items() if name not in ours}
    with _end_to_end(bare):
        hidden = bare.base_model(**layout, use_cache=False).last_hidden_state
    at = batch["learned"]
    targets = batch["targets"].flatten().index_select(0, at)
    head = bare.get_output_embeddings().weight
    return said_of_places(hidden.flatten(0, 1).index_select(0, at), head, targets, temperature)


@contextmanager
def _end_to_end(bare: Any) -> Iterator[None]:
    """Inside, attention is that of rows laid end to end; outside the model answers prompts with its own."""
    config = bare.config.get_text_config()
    own = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = own


def _agree(model: Any, bare: Any, whole: Any, parts: Any) -> bool:
    """Whether both say the same of a few rows, and have the same gradient at the weights that are trained."""
    import torch

    ids, real = torch.tensor(_IDS), torch.tensor(_REAL)
    labels = ids.masked_fill(real == 0, IGNORED)
    for row, first in enumerate(_FIRST):
        labels[row, :first] = IGNORED
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    weights = [trained[0], trained[-1]] if trained else []
    training = model.training
    model.eval()
    found = []
    try:
        for forward in (whole, parts):
            said = forward(
                input_ids=ids,
                attention_mask=real,
                labels=labels,
                use_cache=False,
                fused_lm_head=True,
            )
            total = said.log_probs.sum()
            slopes = torch.autograd.grad(total, weights, allow_unused=True) if weights else ()
            found.append((said.log_probs.detach(), *slopes))
    except (AttributeError, RuntimeError, TypeError):  # a model that is asked otherwise
        return False
    finally:
        model.train(training)
    near = _NEAR[bare.get_output_embeddings().weight.element_size()]
    return all(
        (a is None) == (b is None)
        and (a is None or bool((a - b).abs().max() <= near * max(1.0, float(a.abs().max()))))
        for a, b in zip(*found, strict=True)
    )
