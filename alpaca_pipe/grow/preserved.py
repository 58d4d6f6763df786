"""Whether a grown model still answers as its base does: their logits on the same rows, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LIMIT = 1e-5  # of the largest logit, or of 1 where that is smaller


class Kept(NamedTuple):
    """Over all places of the rows. difference: the largest of any two logits, and largest: the base's largest logit, which it is
    held against; kl: nats a token from the base's words to the grown model's; nats_before, nats_after: the loss of the rows."""

    rows: int
    tokens: int
    difference: float
    largest: float
    kl: float
    nats_before: float
    nats_after: float

    @property
    def same(self) -> bool:
        return self.difference <= LIMIT * max(1.0, self.largest)


def kept(base: PreTrainedModel, grown: PreTrainedModel, rows: Sequence[Sequence[int]]) -> Kept:
    """Rows of at least 2 token ids each. Both models are left in float64."""
    import torch
    from torch.nn.functional import cross_entropy, kl_div, log_softmax

    base.double().eval()
    grown.double().eval()
    difference = largest = kl = before = after = 0.0
    tokens = 0
    with torch.inference_mode():
        for row in rows:
            ids = torch.tensor([row])
            one, other = base(input_ids=ids).logits[0], grown(input_ids=ids).logits[0]
            difference = max(difference, float((one - other).abs().max()))
            largest = max(largest, float(one.abs().max()))
            said, heard = log_softmax(one, -1), log_softmax(other, -1)
            kl += float(kl_div(heard, said, reduction="sum", log_target=True)) / len(row)
            before += float(cross_entropy(one[:-1], ids[0, 1:], reduction="sum"))
            after += float(cross_entropy(other[:-1], ids[0, 1:], reduction="sum"))
            tokens += len(row) - 1
    return Kept(
        len(rows),
        tokens,
        difference,
        largest,
        max(0.0, kl / len(rows)),
        before / tokens,
        after / tokens,
    )


def drawn_rows(count: int, length: int, vocabulary: int, seed: int) -> list[list[int]]:
    """Rows of any tokens: what answers the same on them answers the same on texts."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    found: list[list[int]] = torch.randint(
        vocabulary, (count, length), generator=generator
    ).tolist()
    return found
