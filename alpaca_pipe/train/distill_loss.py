"""The loss of places of which a teacher's likeliest tokens are known: KL with all other tokens as one, beside the plain loss.

With p the teacher, q the student, K the stored tokens and r their rest: KL = sum over K of p ln(p/q) + p_r ln(p_r/q_r), p_r and q_r the
sums over all other tokens. It is the exact KL where K is the whole vocabulary, and below it otherwise (data processing).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Taught:
    """Of places: ids (places, k) of the teacher's likeliest tokens, told (places, k) their log-probabilities at `temperature`,
    rest (places,) the logarithm of what all others have together, -inf where there are none."""

    ids: torch.Tensor
    told: torch.Tensor
    rest: torch.Tensor
    alpha: float
    temperature: float

    def __getitem__(self, part: slice) -> Taught:
        return Taught(
            self.ids[part], self.told[part], self.rest[part], self.alpha, self.temperature
        )


def likeliest(
    logits: torch.Tensor, top_k: int, temperature: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids, told and rest, as Taught has them, of logits (places, vocabulary)."""
    import torch

    said = torch.log_softmax(logits.float() / temperature, dim=-1)
    told, ids = said.topk(min(top_k, said.shape[-1]), dim=-1)
    return ids.to(torch.int32), told, _rest(said, ids)


def _rest(said: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The logarithm of what all tokens but `ids` have together."""
    import torch

    return torch.logsumexp(said.scatter(-1, ids, float("-inf")), dim=-1)


def nats_and_slope(logits: torch.Tensor, taught: Taught) -> tuple[torch.Tensor, torch.Tensor]:
    """T^2 KL of each place, and its gradient by the logits (places, vocabulary), fp32. The logits stay as they are."""
    import torch

    ids, heat = taught.ids.long(), taught.temperature
    said = torch.log_softmax(logits / heat, dim=-1)
    mine, rest = said.gather(-1, ids), _rest(said, ids)
    p, p_rest = taught.told.exp(), taught.rest.exp()
    others = torch.isfinite(rest) & (p_rest > 0)
    behind = torch.where(others, p_rest * (taught.rest - rest), 0.0)
    nats = torch.where(p > 0, p * (taught.told - mine), 0.0).sum(-1) + behind
    # of a token beyond K: q - p_r q / q_r
    share = torch.where(others, taught.rest - rest, float("-inf"))[:, None]
    slope = said.exp() - (said + share).exp()
    slope.scatter_(-1, ids, mine.exp() - p)
    return nats * heat**2, slope.mul_(heat)


def nats_of_logits(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None, taught: Taught
) -> torch.Tensor:
    """The mixed loss of logits that are there already, summed, with its gradient."""
    found: torch.Tensor = _summed().apply(logits, targets, weights, taught)
    return found


def mixed(
    plain: tuple[torch.Tensor, torch.Tensor], soft: tuple[torch.Tensor, torch.Tensor], alpha: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(1 - alpha) plain + alpha soft, of losses and of slopes, whose first is written over."""
    nats = (1 - alpha) * plain[0] + alpha * soft[0]
    return nats, plain[1].mul_(1 - alpha).add_(soft[1], alpha=alpha)


@cache
def _summed() -> Any:
    import torch

    class MixedNats(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            logits: torch.Tensor,
            targets: torch.Tensor,
            weights: torch.Tensor | None,
            taught: Taught,
        ) -> torch.Tensor:
            said = torch.log_softmax(logits, dim=-1)
            at = targets[:, None]
            plain = said.exp()
            plain.scatter_add_(-1, at, plain.new_full(at.shape, -1.0))
            soft = nats_and_slope(logits, taught)
            nats, slope = mixed((-said.gather(-1, at)[:, 0], plain), soft, taught.alpha)
            if weights is not None:
                nats, slope = nats * weights, slope.mul_(weights[:, None])
            ctx.save_for_backward(slope)
            return nats.sum()

        @staticmethod
        def backward(ctx: Any, scale: torch.Tensor) -> Any:
            (slope,) = ctx.saved_tensors
            return slope * scale, None, None, None

    return MixedNats
