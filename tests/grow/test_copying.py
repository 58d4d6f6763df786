"""Grown models against an oracle that is written here: LLaMA's arithmetic in numpy, on the saved weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.grow.config import GrowConfig
from alpaca_pipe.grow.copying import stacked, with_zero_blocks
from alpaca_pipe.grow.grown_model import copied
from alpaca_pipe.grow.preserved import drawn_rows, kept
from alpaca_pipe.models.architecture import Architecture, of_config

torch = pytest.importorskip("torch")


def small(
    hidden: int = 16,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    inner: int = 24,
    tied: bool = False,
    bias: bool = False,
    seed: int = 0,
) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=37,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=tied,
        attention_bias=bias,
        mlp_bias=bias,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        for name, weight in model.named_parameters():
            if "norm" in name or "bias" in name:
                weight.data += 0.3 * torch.randn_like(weight)
    return model


def logits(weights: Mapping[str, np.ndarray], config: Any, ids: list[int]) -> np.ndarray:
    """LLaMA (arXiv:2302.13971, section 2.2; rotary positions arXiv:2104.09864) from its formulas, in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    width, each = config.head_dim, config.num_attention_heads // config.num_key_value_heads
    x = w["model.embed_tokens.weight"][ids]
    angles = np.outer(np.arange(len(ids)), 10_000.0 ** (-np.arange(0, width, 2) / width))
    cos, sin = np.cos(angles), np.sin(angles)

    def normed(values: np.ndarray, name: str) -> np.ndarray:
        mean = (values**2).mean(-1, keepdims=True)
        return values / np.sqrt(mean + config.rms_norm_eps) * w[name]

    def linear(values: np.ndarray, name: str) -> np.ndarray:
        return values @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    def turned(values: np.ndarray) -> np.ndarray:
        first, second = values[:, : width // 2], values[:, width // 2 :]
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], -1)

    for layer in range(config.num_hidden_layers):
        p = f"model.layers.{layer}."
        h = normed(x, f"{p}input_layernorm.weight")
        q, k, v = (linear(h, f"{p}self_attn.{one}_proj") for one in "qkv")
        heads = []
        for head in range(config.num_attention_heads):
            mine, theirs = slice(head * width, head * width + width), head // each
            keys = slice(theirs * width, theirs * width + width)
            scores = turned(q[:, mine]) @ turned(k[:, keys]).T / np.sqrt(width)
            scores[np.triu_indices(len(ids), 1)] = -np.inf
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(scores / scores.sum(-1, keepdims=True) @ v[:, keys])
        x = x + linear(np.concatenate(heads, -1), f"{p}self_attn.o_proj")
        h = normed(x, f"{p}post_attention_layernorm.weight")
        gate = linear(h, f"{p}mlp.gate_proj")
        x = x + linear(
            gate / (1 + np.exp(-gate)) * linear(h, f"{p}mlp.up_proj"), f"{p}mlp.down_proj"
        )
    head_weight = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return normed(x, "model.norm.weight") @ head_weight.T


def by_hand(model: Any, ids: list[int]) -> np.ndarray:
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    return logits(weights, model.config, ids)


def grown(base: Any, method: str, **sizes: Any) -> tuple[Any, Architecture, Architecture]:
    before = of_config(base.config.to_dict())
    after = GrowConfig.model_validate({"method": method, **sizes}).grown(before)
    return copied(base, method, before, after, 3), before, after


@settings(deadline=None, max_examples=40)
@given(
    groups=st.integers(1, 2),
    each=st.integers(1, 2),
    width=st.sampled_from([2, 4]),
    more=st.integers(0, 3),
    deeper=st.integers(0, 3),
    inner=st.integers(5, 30),
    more_inner=st.integers(0, 40),
    tied=st.booleans(),
    bias=st.booleans(),
    seed=st.integers(0, 9),
)
def test_what_promises_it_keeps_every_logit(
    groups: int,
    each: int,
    width: int,
    more: int,
    deeper: int,
    inner: int,
    more_inner: int,
    tied: bool,
    bias: bool,
    seed: int,
) -> None:
    """Widths, depths and heads of all kinds, dividing or not; and the oracle agrees with transformers on the base."""
    heads = groups * each
    base = small(heads * width, 2, heads, groups, inner, tied, bias, seed)
    sizes = {
        "hidden_size": heads * width + more * heads * width // 2 * 2 // 2,
        "intermediate_size": inner + more_inner,
        "num_hidden_layers": 2 + deeper,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
    }
    sizes["hidden_size"] += -sizes["hidden_size"] % heads
    method = "zero_blocks" if deeper else "net2net"
    if not (more or more_inner or deeper):
        with pytest.raises(UserError, match="base's own"):
            grown(base, method, **sizes)
        return
    model, _, _ = grown(base, method, **sizes)
    ids = drawn_rows(1, 9, 37, seed)[0]
    mine = by_hand(base, ids)
    theirs = base(input_ids=torch.tensor([ids])).logits[0].detach().numpy()
    np.testing.assert_allclose(mine, theirs, atol=2e-4 * np.abs(mine).max())
    np.testing.assert_allclose(by_hand(model, ids), mine, atol=1e-5 * max(1, np.abs(mine).max()))
    assert kept(base, model, [ids]).same


@pytest.mark.parametrize(
    "sizes",
    [
        {"num_attention_heads": 8, "num_key_value_heads": 4, "hidden_size": 32},
        {"num_attention_heads": 8, "num_key_value_heads": 2, "hidden_size": 24},
        {"num_attention_heads": 4, "num_key_value_heads": 4, "hidden_size": 20},
        {"num_attention_heads": 12, "num_key_value_heads": 4, "hidden_size": 48},
        {"hidden_size": 24},
    ],
)
@pytest.mark.parametrize("tied", [True, False])
def test_heads_are_copied_with_the_keys_that_they_look_at(
    sizes: dict[str, int], tied: bool
) -> None:
    base = small(tied=tied)
    model, _, after = grown(base, "net2net", **sizes)
    ids = drawn_rows(1, 11, 37, 1)[0]
    np.testing.assert_allclose(by_hand(model, ids), by_hand(base, ids), atol=1e-5)
    assert sum(one.numel() for one in model.parameters()) == after.parameters


def test_equal_copies_do_not_stay_equal_when_they_are_trained() -> None:
    """Equal shares would give two copies the same gradient for ever."""
    base = small()
    model, _, _ = grown(base, "net2net", intermediate_size=48)
    ids = torch.tensor(drawn_rows(1, 12, 37, 2))
    model(input_ids=ids, labels=ids).loss.backward()
    gate = model.model.layers[0].mlp.gate_proj
    torch.testing.assert_close(gate.weight[:24], gate.weight[24:])
    assert not torch.allclose(gate.weight.grad[:24], gate.weight.grad[24:])


@given(layers=st.integers(1, 9), more=st.integers(0, 20))
def test_layers_of_a_plan(layers: int, more: int) -> None:
    zero, stack = with_zero_blocks(layers, layers + more), stacked(layers, layers + more)
    assert len(zero) == len(stack) == layers + more
    assert [source for source, adds in zero if adds] == list(range(layers))
    assert [source for source, _ in zero] == sorted(source for source, _ in zero)
    counts = [sum(one == layer for one, adds in zero if not adds) for layer in range(layers)]
    assert max(counts) - min(counts) <= 1 and sum(counts) == more
    assert [source for source, _ in stack] == [place % layers for place in range(layers + more)]


def test_stacking_says_how_far_it_is() -> None:
    base = small()
    model, _, _ = grown(base, "stack", num_hidden_layers=5)
    rows = drawn_rows(4, 9, 37, 1)
    told = kept(base, model, rows)
    wanted = [np.abs(by_hand(base, row) - by_hand(model, row)).max() for row in rows]
    assert not told.same and told.kl > 0
    assert told.difference == pytest.approx(max(wanted), rel=1e-4)
    third = [model.model.layers[place].mlp.up_proj.weight for place in (0, 2, 4)]
    assert all(torch.equal(third[0], one) for one in third[1:])


@pytest.mark.parametrize(
    ("method", "sizes", "said"),
    [
        ("stack", {"num_hidden_layers": 1}, "would fall from 2 to 1"),
        ("stack", {"hidden_size": 32}, "stack adds layers"),
        ("net2net", {"num_hidden_layers": 4}, "net2net widens"),
        ("net2net", {"hidden_size": 17}, "no number of heads"),
        ("net2net", {"num_attention_heads": 5, "num_key_value_heads": 2}, "cannot share"),
        ("net2net", {"num_attention_heads": 6, "num_key_value_heads": 2}, "do not divide"),
        ("net2net", {"num_attention_heads": 6, "num_key_value_heads": 6, "hidden_size": 36}, ""),
        (
            "net2net",
            {"num_attention_heads": 4, "num_key_value_heads": 4, "hidden_size": 16},
            "",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(
    method: str, sizes: dict[str, int], said: str
) -> None:
    base = of_config(small().config.to_dict())
    config = GrowConfig.model_validate({"method": method, **sizes})
    if not said:
        assert config.grown(base).heads == sizes["num_attention_heads"]
        return
    with pytest.raises(UserError, match=said) as told:
        config.grown(base)
    assert told.value.cure


def test_queries_without_a_place_are_refused() -> None:
    base = of_config(small(heads=4, kv_heads=1).config.to_dict())
    config = GrowConfig(
        num_attention_heads=4, num_key_value_heads=2, hidden_size=32, method="net2net"
    )
    assert config.grown(base).kv_heads == 2
    odd = GrowConfig(num_attention_heads=8, num_key_value_heads=8, hidden_size=32, method="net2net")
    assert odd.grown(base).heads == 8
    three = of_config(small(hidden=24, heads=6, kv_heads=2).config.to_dict())
    with pytest.raises(UserError, match="have no place for the 3 queries"):
        GrowConfig(
            num_attention_heads=6, num_key_value_heads=3, hidden_size=24, method="net2net"
        ).grown(three)
