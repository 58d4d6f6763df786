"""Puts the lean arithmetic into a model: a part is replaced only where ours gives the values of its own code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alpaca_pipe.train.attention import NAME
from alpaca_pipe.train.lean.feed_forward import gated_down
from alpaca_pipe.train.lean.layer import lean_forward, may_be_lean
from alpaca_pipe.train.lean.linears import is_plain_adapter, is_plain_linear, linear_of, linears
from alpaca_pipe.train.micro_batches import IGNORED, Row, as_tensors, lay_out

if TYPE_CHECKING:
    import torch

_NEAR = 1e-4  # of values of size about 1, in fp32
# two rows that share an opening, and one of another length
_ROWS = [
    Row([1, 2, 3, 4], [IGNORED, IGNORED, 4, IGNORED]),
    Row([1, 2, 5, 6], [IGNORED, IGNORED, 6, IGNORED]),
    Row([7, 8, 9], [8, 9, IGNORED]),
]


def make_lean(model: torch.nn.Module) -> int:
    """Replaces the forward of whole layers where that can be, else of gated feed-forwards and of linear layers and their
    adapters; answers how many were replaced.

    Only in fp32 outside autocast, which is how a CPU trains; elsewhere the model stays as it is.
    """
    import torch

    if any(weight.dtype != torch.float32 or weight.is_cuda for weight in model.parameters()):
        return 0
    replaced, done = 0, set[Any]()
    for layer, rotary in _layers(model):
        if may_be_lean(layer) and _layer_agrees(layer, rotary):
            layer.forward = lean_forward(layer)
            done |= set(layer.modules())
            replaced += 1
    for module in model.modules():
        if is_plain_adapter(module):
            done |= set(module.modules()) - {module}
    rest = [module for module in model.modules() if module not in done]
    for module in rest:
        if is_plain_adapter(module) or is_plain_linear(module):
            replaced += _replace(module, _linear_forward(module), module.in_features)
    for module in rest:
        if all(hasattr(module, name) for name in ("gate_proj", "up_proj", "down_proj", "act_fn")):
            # DoRA and dropout answer as a plain adapter does until the first step, and in eval
            if not (is_plain_adapter(module.down_proj) or is_plain_linear(module.down_proj)):
                continue
            width = getattr(module.gate_proj, "in_features", 0)
            replaced += _replace(module, _gated_forward(module), width)
    return replaced


def sparse_embedding(model: Any) -> None:
    """Where the head trains the same weights, its gradient holds a value for each; the embedding's own are then added to the
    few that they belong to, instead of a second gradient as large, most of it zeros."""
    import torch

    words, head = model.get_input_embeddings(), model.get_output_embeddings()
    shared = getattr(head, "weight", None) is getattr(words, "weight", words)
    if shared and type(words) is torch.nn.Embedding and words.weight.requires_grad:
        words.sparse = True


def _layers(model: torch.nn.Module) -> list[tuple[Any, Any]]:
    """(layer, what makes its rotary angles) of a model whose rows lie end to end."""
    config: Any = getattr(model, "config", None)
    if getattr(config, "_attn_implementation", None) != NAME:
        return []
    return [
        (layer, parent.rotary_emb)
        for parent in model.modules()
        if hasattr(parent, "rotary_emb") and hasattr(parent, "layers")
        for layer in parent.layers
    ]


def _layer_agrees(layer: Any, rotary: Any) -> bool:
    """Values and the gradient at the input, on rows of which two share an opening."""
    import torch

    layout = as_tensors(lay_out(_ROWS))
    places, width = layout["position_ids"].shape[1], layer.self_attn.q_proj.in_features
    training = layer.training
    layer.train()  # what draws, as dropout does, must not agree
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x, weighed = torch.randn(2, 1, places, width)
    found = []
    try:
        for forward in (layer.forward, lean_forward(layer)):
            read = x.clone().requires_grad_()
            made = forward(read, position_embeddings=rotary(read, layout["position_ids"]), **layout)
            (slope,) = torch.autograd.grad((made * weighed).sum(), read)
            found += [made.detach(), slope]
    except (AttributeError, RuntimeError, TypeError):  # a layer that is asked otherwise
        return False
    finally:
        layer.train(training)
    near = [_NEAR * max(1.0, float(one.abs().max())) for one in found[:2]]
    pairs = zip(found[:2], found[2:], near, strict=True)
    return all(float((a - b).abs().max()) <= room for a, b, room in pairs)


def _replace(module: Any, forward: Any, width: int) -> int:
    """Takes `forward` where it answers as the module itself does, in training too: what draws does not."""
    import torch

    training = module.training
    module.train()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            sample = torch.randn(3, width)
            wanted, found = module.forward(sample), forward(sample)
    finally:
        module.train(training)
    if found.shape != wanted.shape or not torch.allclose(found, wanted, rtol=_NEAR, atol=_NEAR):
        return 0
    module.forward = forward
    return 1


def _linear_forward(module: Any) -> Any:
    def forward(x: torch.Tensor, *args: Any, **more: Any) -> torch.Tensor:
        return linears(x, (linear_of(module),))[0]

    return forward


def _gated_forward(module: Any) -> Any:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return gated_down(module.gate_proj(x), module.up_proj(x), linear_of(module.down_proj))

    return forward
