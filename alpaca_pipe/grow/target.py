"""The shape that a base is to grow to: what follows from what is named, and what no method can make. No torch."""

from __future__ import annotations

from dataclasses import replace

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.models.architecture import Architecture


@dataclass(frozen=True)
class Wanted:
    """What a recipe names of the new shape; None: it follows."""

    layers: int | None = None
    hidden: int | None = None
    feed_forward: int | None = None
    heads: int | None = None
    kv_heads: int | None = None

    def check(self, method: str, base: Architecture, grown: Architecture) -> None:
        """UserError where a method cannot make this shape of that base."""
        deeper = grown.layers > base.layers
        if method == "net2net" and deeper:
            raise UserError(
                f"grow: net2net widens, and {base.layers:g} layers are to become {grown.layers:g}",
                "use method zero_blocks, stack or ligo, or leave num_hidden_layers out",
            )
        if method in ("stack", "zero_blocks") and not deeper:
            raise UserError(
                f"grow: {method} adds layers, and {grown.layers:g} are asked for where the base has {base.layers:g}",
                "raise num_hidden_layers, or use method net2net",
            )


def grown_shape(base: Architecture, wanted: Wanted) -> Architecture:
    """What is named, and the rest in proportion: heads keep their width, and a key head the number of its queries. UserError
    for what would have to shrink, and for heads that do not fit."""
    layers = wanted.layers or int(base.layers)
    hidden = wanted.hidden or int(base.hidden)
    ratio = hidden / base.hidden
    inner = wanted.feed_forward or round(base.feed_forward * ratio)
    head = int(base.head or base.hidden // base.heads)
    heads, kv_heads = _heads(base, wanted, hidden)
    grown = replace(
        base,
        layers=layers,
        hidden=hidden,
        feed_forward=inner,
        heads=heads,
        kv_heads=kv_heads,
        head=base.head if base.head or hidden == heads * head else head,
    )
    for name, before, after in (
        ("num_hidden_layers", base.layers, layers),
        ("hidden_size", base.hidden, hidden),
        ("intermediate_size", base.feed_forward, inner),
        ("num_attention_heads", base.heads, heads),
        ("num_key_value_heads", base.kv_heads, kv_heads),
    ):
        if after < before:
            raise UserError(
                f"grow: {name} would fall from {before:g} to {after:g}, and nothing shrinks here",
                f"write at least {before:g}",
            )
    if grown == base:
        raise UserError(
            "grow: the shape that is asked for is the base's own", "raise one of the sizes"
        )
    _check_heads(base, grown)
    return grown


def _heads(base: Architecture, wanted: Wanted, hidden: int) -> tuple[int, int]:
    """(heads, key heads): as named, else in proportion to the width, and such that heads divide it."""
    group = int(base.heads // base.kv_heads)
    if wanted.heads and wanted.kv_heads:
        return wanted.heads, wanted.kv_heads
    if wanted.heads:
        return wanted.heads, max(int(base.kv_heads), wanted.heads // group)
    if wanted.kv_heads:
        return wanted.kv_heads * group, wanted.kv_heads
    if hidden == base.hidden:
        return int(base.heads), int(base.kv_heads)
    meant = base.kv_heads * hidden / base.hidden
    fitting = [
        one for one in range(int(base.kv_heads), int(meant) + 2) if hidden % (one * group) == 0
    ]
    if not fitting:
        raise UserError(
            f"grow: no number of heads between {base.heads:g} and {meant * group:.0f} divides a width of {hidden}",
            f"take a hidden_size that {group} x a number of key heads divides, or name num_attention_heads",
        )
    best = min(fitting, key=lambda one: abs(one - meant))
    return best * group, best


def _check_heads(base: Architecture, grown: Architecture) -> None:
    if grown.heads % grown.kv_heads:
        raise UserError(
            f"grow: {grown.heads:g} heads cannot share {grown.kv_heads:g} key heads evenly",
            "take a number of heads that the number of key heads divides",
        )
    if grown.hidden % grown.heads:
        raise UserError(
            f"grow: {grown.heads:g} heads do not divide a width of {grown.hidden:g}, which transformers asks of a LLaMA",
            "change num_attention_heads or hidden_size",
        )
    before, after = int(base.heads // base.kv_heads), int(grown.heads // grown.kv_heads)
    if int(grown.kv_heads // base.kv_heads) * after < before:
        raise UserError(
            f"grow: {grown.kv_heads:g} key heads with {after} queries each have no place for the {before} queries of each "
            f"of the base's {base.kv_heads:g}",
            "keep as many queries a key head, or take more key heads",
        )
