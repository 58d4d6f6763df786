"""LiGO: a linear map from the small model's weights to the large one's, learned on texts (arXiv:2303.00980).

Every large weight is OUT (sum of the layers' weights, each by its own factor) IN^T. OUT and IN are shared by all weights that
write to or read from the same side; the factors are of each kind of weight and each new layer. At step 0 the maps are
Net2Net's copies and stacking, and about 100 steps of the language-model loss move the maps alone, never a weight by itself.

LiGO was published for BERT, GPT-2 and vision models. For a LLaMA: heads are mapped whole, for a map that mixes places within a
head would not commute with rotary positions; norms keep Net2Net's weights, blended over layers; OUT and IN are apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.grow.copying import (
    EMBEDDING,
    FINAL_NORM,
    HEAD,
    LINEAR,
    NORMS,
    norm_widened,
    place_of,
    stacked,
)
from alpaca_pipe.grow.widths import Side, Sides

if TYPE_CHECKING:
    import torch

    from alpaca_pipe.grow.copying import Weights


@dataclass(frozen=True)
class Maps:
    """out, into: side -> (new, old); blends: kind of weight -> (new layers, old layers). All are learned."""

    out: dict[str, torch.Tensor]
    into: dict[str, torch.Tensor]
    blends: dict[str, torch.Tensor]

    def parameters(self) -> Iterator[torch.Tensor]:
        for group in (self.out, self.into, self.blends):
            yield from group.values()


def first_maps(sides: Sides, layers: int, wanted: int, generator: torch.Generator) -> Maps:
    """Net2Net's copies, and stacking."""
    import torch

    named: dict[str, Side] = {
        "hidden": sides.hidden,
        "feed_forward": sides.feed_forward,
        "heads": sides.heads,
        "kv_heads": sides.kv_heads,
    }
    plan = [source for source, _ in stacked(layers, wanted)]
    blend = torch.nn.functional.one_hot(torch.tensor(plan), layers).float()
    maps = Maps(
        {name: _matrix(side) for name, side in named.items()},
        {name: _matrix(side, generator) for name, side in named.items() if name != "kv_heads"},
        {part: blend.clone() for part in (*LINEAR, *NORMS)},
    )
    for one in maps.parameters():
        one.requires_grad_()
    return maps


def _matrix(side: Side, generator: torch.Generator | None = None) -> torch.Tensor:
    """(new, old): where a place is copied from. generator: for what reads, its share of the copies; places that hold nothing
    yet are read by a drawn mixture, for two zeros in a row would never learn."""
    import torch

    there = ~side.empty
    found = torch.zeros(len(side.copies), int(side.copies.max()) + 1)
    if generator:
        drawn = torch.randn(found.shape, generator=generator) / found.shape[1] ** 0.5
        found[side.empty] = drawn[side.empty]
    values = side.shares.float() if generator else torch.ones(len(side.copies))
    found[there, side.copies[there]] = values[there]
    return found


class Mapped:
    """A small model's weights, and the large one's by any maps. head: width of a head."""

    def __init__(self, weights: Weights, sides: Sides, head: int) -> None:
        import torch

        self._sides, self._head = sides, head
        self._plain = {name: one for name, one in weights.items() if not _in_layer(name)}
        layers: dict[tuple[str, str], dict[int, torch.Tensor]] = {}
        for name, one in weights.items():
            if _in_layer(name):
                layer, part, kind = place_of(name)
                layers.setdefault((part, kind), {})[layer] = one
        # of each kind of weight all layers: (old layers, ...)
        self._stacks = {
            key: torch.stack([each[layer] for layer in sorted(each)])
            for key, each in layers.items()
        }

    def weights(self, maps: Maps) -> Weights:
        """All of the large model, differentiable in the maps."""
        import torch

        tied = HEAD not in self._plain
        shares = self._sides.hidden.shares.float() if tied else 1
        done: Weights = {
            EMBEDDING: self._plain[EMBEDDING] @ maps.out["hidden"].T,
            FINAL_NORM: norm_widened(self._plain[FINAL_NORM], self._sides) * shares,
        }
        if not tied:
            done[HEAD] = self._plain[HEAD] @ maps.into["hidden"].T
        for (part, kind), stack in self._stacks.items():
            blended = torch.tensordot(maps.blends[part], stack, 1)
            for layer, one in enumerate(self._wide(part, kind, blended, maps)):
                done[f"model.layers.{layer}.{part}.{kind}"] = one
        return done

    def _wide(self, part: str, kind: str, blended: torch.Tensor, maps: Maps) -> Any:
        """Of each new layer the wide weight. blended: (new layers, ...)."""
        if part in NORMS:
            return [norm_widened(one, self._sides) for one in blended]
        writes, reads = LINEAR[part]
        wide = self._rows(maps.out[writes], blended, writes)
        if kind == "bias":
            return wide
        return self._rows(maps.into[reads], wide.transpose(1, 2), reads).transpose(1, 2)

    def _rows(self, matrix: torch.Tensor, values: torch.Tensor, side: str) -> torch.Tensor:
        """matrix (new, old) times values (layers, old places, ...); heads are taken whole."""
        import torch

        if side not in ("heads", "kv_heads"):
            return torch.einsum("no,lo...->ln...", matrix, values)
        apart = values.unflatten(1, (matrix.shape[1], self._head))
        return torch.einsum("no,loh...->lnh...", matrix, apart).flatten(1, 2)


def _in_layer(name: str) -> bool:
    return name.startswith("model.layers.")


def map_flops(weights: Weights, maps: Maps) -> float:
    """Operations to make all large weights once, and their gradients: three passes, 2 for each product and sum."""
    layers, old = next(iter(maps.blends.values())).shape
    total = 0.0
    for name, one in weights.items():
        if _in_layer(name) and one.dim() == 2:
            _, part, _ = place_of(name)
            writes, reads = LINEAR[part]
            up = maps.out[writes].shape[0] / maps.out[writes].shape[1]
            # blending once for each old layer, then rows, then columns; a head's map is block-diagonal
            rows, columns = maps.out[writes].shape, maps.into[reads].shape
            total += layers * one.numel()
            total += layers / old * one.numel() * rows[0]
            total += layers / old * one.numel() * up * columns[0]
        elif name in (EMBEDDING, HEAD):
            total += one.numel() * maps.out["hidden"].shape[0]
    return 6 * total
