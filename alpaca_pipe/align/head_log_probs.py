"""Log-probabilities of learned places, the head a part at a time: no logits of a whole batch are kept."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from alpaca_pipe.train.lean.products import product

if TYPE_CHECKING:
    import torch

_AT_ONCE = 128  # places; 128 x 128,256 logits in fp32 are 66 MB, and a few such are held


class SaidOfPlaces(NamedTuple):
    """Of each place (places,): ln p(target), the entropy of what comes next in nats, the mean of its logits, whether the
    target is the likeliest. Only the first has a gradient."""

    log_probs: torch.Tensor
    entropy: torch.Tensor
    mean_logits: torch.Tensor
    is_top1: torch.Tensor


def said_of_places(
    hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor, temperature: float
) -> SaidOfPlaces:
    """hidden (places, size), before the head; head (vocabulary, size), its weights; targets (places,) token ids. Logits are
    divided by `temperature` first.

    The gradient at `hidden` is made on the way forward, since it is linear in what comes back to each place; that of a head
    which is trained is made of logits that are computed again.
    """
    return SaidOfPlaces(*_places().apply(hidden, head, targets, temperature))


def _logits(hidden: torch.Tensor, head: torch.Tensor, temperature: float) -> torch.Tensor:
    import torch

    times = product if hidden.dtype == torch.float32 else torch.nn.functional.linear
    logits = times(hidden, head).float()
    return logits if temperature == 1.0 else logits.div_(temperature)


def _slope_over(log_p: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The gradient of ln p(target) by the logits, written over ln p (places, vocabulary)."""
    slope = log_p.exp_().neg_()
    at = targets[:, None]
    return slope.scatter_add_(1, at, slope.new_ones(at.shape))


@cache
def _places() -> Any:
    import torch

    class Places(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            hidden: torch.Tensor,
            head: torch.Tensor,
            targets: torch.Tensor,
            temperature: float,
        ) -> tuple[torch.Tensor, ...]:
            wants_hidden, wants_head = ctx.needs_input_grad[:2]
            d_hidden = torch.empty_like(hidden) if wants_hidden else None
            found = torch.empty(3, len(targets), dtype=torch.float32, device=hidden.device)
            is_top1 = torch.empty(len(targets), dtype=torch.bool, device=hidden.device)
            for start in range(0, len(targets), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                logits = _logits(hidden[part], head, temperature)
                found[2, part] = logits.mean(dim=-1)
                log_p = logits.sub_(logits.logsumexp(dim=-1, keepdim=True))
                found[0, part] = log_p.gather(1, targets[part, None])[:, 0]
                is_top1[part] = found[0, part] >= log_p.amax(dim=-1)
                found[1, part] = -torch.linalg.vecdot(log_p.exp(), log_p)
                if d_hidden is not None:
                    slope = _slope_over(log_p, targets[part]).to(hidden.dtype)
                    d_hidden[part] = product(slope, head.T).div_(temperature)
            ctx.d_hidden, ctx.temperature = d_hidden, temperature
            ctx.save_for_backward(*((hidden, head, targets) if wants_head else ()))
            log_probs, entropy, mean_logits = found
            ctx.mark_non_differentiable(entropy, mean_logits, is_top1)
            return log_probs.clone(), entropy, mean_logits, is_top1

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor, *_: Any) -> Any:
            d_hidden, d_head = ctx.d_hidden, None
            if d_hidden is not None:
                d_hidden = d_hidden * grad[:, None].to(d_hidden.dtype)
            if ctx.needs_input_grad[1]:
                hidden, head, targets = ctx.saved_tensors
                d_head = torch.zeros_like(head, dtype=torch.float32)
                for start in range(0, len(targets), _AT_ONCE):
                    part = slice(start, start + _AT_ONCE)
                    logits = _logits(hidden[part], head, ctx.temperature)
                    log_p = logits.sub_(logits.logsumexp(dim=-1, keepdim=True))
                    slope = _slope_over(log_p, targets[part])
                    slope.mul_(grad[part, None] / ctx.temperature)
                    d_head.addmm_(slope.T, hidden[part].float())
                d_head = d_head.to(head.dtype)
            return d_hidden, d_head, None, None

    return Places
