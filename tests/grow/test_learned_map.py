"""LiGO's map: what it is at step 0, what it makes, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpaca_pipe.grow.copying import FINAL_NORM, HEAD, LINEAR, NORMS
from alpaca_pipe.grow.descent import batches_of, descend, next_token_loss
from alpaca_pipe.grow.grown_model import copied, filled, weights_of
from alpaca_pipe.grow.learned_map import Mapped, Maps, first_maps, map_flops
from alpaca_pipe.grow.preserved import drawn_rows, kept
from alpaca_pipe.grow.widths import sides_of
from alpaca_pipe.models.architecture import of_config
from tests.grow.test_copying import GrowConfig, small

torch = pytest.importorskip("torch")
SIZES = {
    "num_hidden_layers": 5,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
}


def mapping(tied: bool, bias: bool = False) -> tuple[Any, Any, Mapped, Maps, Any]:
    base = small(hidden=16, heads=4, kv_heads=2, layers=2, tied=tied, bias=bias)
    before = of_config(base.config.to_dict())
    after = GrowConfig.model_validate({"method": "ligo", **SIZES}).grown(before)
    generator = torch.Generator().manual_seed(3)
    sides = sides_of(before, after, generator)
    mapped = Mapped(weights_of(base), sides, int(base.config.head_dim))
    return base, after, mapped, first_maps(sides, 2, 5, generator), sides


@pytest.mark.parametrize("tied", [True, False])
def test_it_begins_as_stacking_with_net2net(tied: bool) -> None:
    base, after, mapped, maps, sides = mapping(tied, bias=True)
    with torch.no_grad():
        model = filled(base, after, sides, mapped.weights(maps))
    other = copied(base, "stack", of_config(base.config.to_dict()), after, 3)
    rows = drawn_rows(3, 9, 37, 1)
    told = kept(other, model, rows)
    assert told.difference < 1e-5 * max(1, told.largest)


@pytest.mark.parametrize("tied", [True, False])
def test_every_weight_is_out_blend_in(tied: bool) -> None:
    """Against numpy: OUT (sum of layers) IN^T, heads as whole blocks."""
    base, _, mapped, maps, _ = mapping(tied)
    drawn = torch.Generator().manual_seed(5)
    for one in maps.parameters():
        one.data = torch.randn(one.shape, generator=drawn)
    made = {name: one.detach().numpy() for name, one in mapped.weights(maps).items()}
    small_ones = {name: one.numpy() for name, one in weights_of(base).items()}
    head = base.config.head_dim

    def whole(side: str, matrix: Any) -> Any:
        return np.kron(matrix, np.eye(head)) if side.endswith("heads") else matrix

    for part, (writes, reads) in LINEAR.items():
        for layer in range(5):
            blend = sum(
                maps.blends[part].detach().numpy()[layer, old]
                * small_ones[f"model.layers.{old}.{part}.weight"]
                for old in range(2)
            )
            out = whole(writes, maps.out[writes].detach().numpy())
            into = whole(reads, maps.into[reads].detach().numpy())
            np.testing.assert_allclose(
                made[f"model.layers.{layer}.{part}.weight"], out @ blend @ into.T, atol=1e-3
            )
    assert (HEAD in made) == (not tied) and FINAL_NORM in made
    assert len([name for name in made if any(norm in name for norm in NORMS)]) == 10


def test_it_learns_and_every_map_moves() -> None:
    base, after, mapped, maps, sides = mapping(True)
    from alpaca_pipe.grow.grown_model import empty_model

    large = empty_model(base, after, sides.norm)
    before = [one.detach().clone() for one in maps.parameters()]
    rows = [[(start + 3 * at) % 37 for at in range(16)] for start in range(37)]
    losses: list[float] = []

    def loss_of(ids: Any) -> Any:
        said = torch.func.functional_call(
            large, mapped.weights(maps), (), {"input_ids": ids, "use_cache": False}
        )
        loss = next_token_loss(said.logits, ids)
        losses.append(float(loss.detach()))
        return loss

    descend(
        maps.parameters(), loss_of, batches_of(rows, 8, 0), 25, 1e-2, Path("/dev/null"), _nobody
    )
    assert losses[-1] < losses[0] - 0.3
    for was, one in zip(before, maps.parameters(), strict=True):
        assert not torch.equal(was, one)


def test_tokens_are_those_that_steps_saw_where_texts_are_few() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    rows, seen = [[1, 2, 3, 4]] * 3, []

    def loss_of(ids: Any) -> Any:
        seen.append(ids.numel())
        return weight.sum() + 1.0

    done = descend([weight], loss_of, batches_of(rows, 8, 0), 5, 1e-3, Path("/dev/null"), _nobody)
    assert done.tokens == sum(seen) == 5 * 3 * 4


def _nobody(step: int, loss: float) -> None:
    return None


def test_what_making_the_weights_costs_is_counted() -> None:
    """Of one matrix by hand: blend, rows, columns, each a multiplication and a sum, three passes."""
    _, _, _, maps, _ = mapping(True)
    weights: Mapping[str, Any] = {
        "model.layers.0.mlp.up_proj.weight": torch.zeros(24, 16),
        "model.layers.1.mlp.up_proj.weight": torch.zeros(24, 16),
    }
    blend = 5 * 2 * 24 * 16
    rows, columns = 5 * 40 * 24 * 16, 5 * 40 * 16 * 24
    assert map_flops(dict(weights), maps) == pytest.approx(6 * (blend + rows + columns))
