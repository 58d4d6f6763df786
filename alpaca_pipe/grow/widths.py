"""Where each place of a wider side comes from, and how much of what it holds is read again: Net2Net's two halves.

Chen, Goodfellow, Shlens, Net2Net (arXiv:1511.05641): a unit that is copied gives the same value twice, so what reads it
takes a part of each. The parts here are unequal and drawn, so that equal copies do not stay equal when they are trained.
A LLaMA's norm divides by the mean square over the width. Where each place is copied equally often the mean stays; what is
left over stays empty (zero) and changes the mean by a factor that is known, and the norm's own weight takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpaca_pipe.models.architecture import Architecture

if TYPE_CHECKING:
    import torch

EMPTY = -1


@dataclass(frozen=True)
class Side:
    """copies[new] = old place, or EMPTY; shares[new]: part of the value that is read there; those of one old place sum to 1."""

    copies: torch.Tensor
    shares: torch.Tensor

    @property
    def empty(self) -> torch.Tensor:
        return self.copies == EMPTY

    def written(self, weight: torch.Tensor) -> torch.Tensor:
        """Rows of a weight (or a bias) that writes here."""
        found = weight[self.copies.clamp(min=0)].clone()
        found[self.empty] = 0
        return found

    def read(self, weight: torch.Tensor, filling: torch.Tensor) -> torch.Tensor:
        """Columns of a weight (rows, old) that reads here; filling (rows, new): for places that hold nothing yet."""
        found = weight[:, self.copies.clamp(min=0)] * self.shares
        return found.where(~self.empty, filling.to(found.dtype))

    def in_heads(self, width: int) -> Side:
        """The same of heads so many places wide each."""
        import torch

        each = self.copies[:, None] * width + torch.arange(width)
        return Side(each.flatten(), self.shares.repeat_interleave(width))


@dataclass(frozen=True)
class Sides:
    """Those of a model. heads: of queries, kv_heads: of keys and values, both a head each; norm: what the mean square of the
    residual becomes, as a factor."""

    hidden: Side
    feed_forward: Side
    heads: Side
    kv_heads: Side
    norm: float


def sides_of(base: Architecture, grown: Architecture, generator: torch.Generator) -> Sides:
    import torch

    before, after = int(base.hidden), int(grown.hidden)
    times = after // before
    kept = torch.arange(before).repeat(times)
    hidden = torch.cat([kept, torch.full((after - times * before,), EMPTY)])
    inner = torch.arange(int(grown.feed_forward)) % int(base.feed_forward)
    keys = torch.arange(int(grown.kv_heads)) % int(base.kv_heads)
    return Sides(
        _side(hidden, generator),
        _side(inner, generator),
        _side(_queries(base, grown), generator),
        _side(keys, generator),
        times * before / after,
    )


def _queries(base: Architecture, grown: Architecture) -> torch.Tensor:
    """For each new head an old one whose keys are those of the new head's group: each old head at least once."""
    import torch

    before, after = int(base.heads // base.kv_heads), int(grown.heads // grown.kv_heads)
    found, next_one = [], [0] * int(base.kv_heads)
    for key in range(int(grown.kv_heads)):
        old = key % int(base.kv_heads)
        for _ in range(after):
            found.append(old * before + next_one[old] % before)
            next_one[old] += 1
    return torch.tensor(found)


def _side(copies: torch.Tensor, generator: torch.Generator) -> Side:
    """Shares are between a third and a whole of an equal part before they are brought to a sum of 1; one copy has all of it."""
    import torch

    there = copies != EMPTY
    drawn = torch.rand(len(copies), generator=generator, dtype=torch.float64) + 0.5
    drawn[~there] = 0
    sums = torch.zeros(int(copies.max()) + 1, dtype=torch.float64)
    sums.index_add_(0, copies.clamp(min=0), drawn)
    return Side(copies, drawn / sums[copies.clamp(min=0)])
