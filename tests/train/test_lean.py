"""The lean arithmetic gives values and gradients of the libraries' own code, and leaves alone what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from alpaca_pipe.models.loading import load_model
from alpaca_pipe.train.attention import lay_end_to_end
from alpaca_pipe.train.lean.linears import Linear, Norm, linears
from alpaca_pipe.train.lean.products import product
from alpaca_pipe.train.lean.replace import make_lean
from alpaca_pipe.train.micro_batches import Row, as_tensors, lay_out
from alpaca_pipe.train.trainer import nats_by_logits, nats_of
from alpaca_pipe.weights.base import Checkpoint
from tests.train.test_equivalences import KINDS, MORE

LAYERS = 2
SHARED = [7, 1, 30, 9, 12, 4]
ROWS = [
    Row.of([*SHARED, 5, 17, 8], [False] * 6 + [True] * 3),
    Row.of([*SHARED, 25, 1, 8, 90, 14], [False] * 7 + [True] * 4),
    Row.of([40, 50, 60, 70], [False, True, True, True]),
    Row.of([41, 50, 60, 71], [False, True, True, True]),
]


def model_of(kind: str, **config: Any) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    shape = (KINDS | MORE)[kind]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**shape, **config}))
    model = model.float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "embed" not in name and "wte" not in name:
                weight.mul_(4)
            elif weight.ndim == 1:  # norms and biases, which begin as ones and zeros
                weight.add_(torch.randn_like(weight) * 0.1)
    return model.train()


def adapted(model: Any, **more: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    torch.manual_seed(3)
    model = get_peft_model(model, LoraConfig(**{**options, **more}))
    for name, weight in model.named_parameters():
        if "lora_B" in name:  # it begins as zeros, which would hide the half of what is compared
            torch.nn.init.normal_(weight, std=0.1)
    return model


def loss_and_gradients(model: Any, end_to_end: bool) -> tuple[float, dict[str, Any]]:
    inputs = as_tensors(lay_out(ROWS))
    if end_to_end:
        loss = nats_of(model, model.get_output_embeddings(), inputs)
    else:
        loss = nats_by_logits(
            model, {k: inputs[k] for k in ("input_ids", "targets", "weights", "learned")}
        )
    loss.backward()
    return float(loss.detach()), {n: p.grad for n, p in model.named_parameters() if p.requires_grad}


def same(one: tuple[float, dict[str, Any]], other: tuple[float, dict[str, Any]]) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    assert one[1].keys() == other[1].keys()
    largest = max(float(grad.abs().max()) for grad in other[1].values())
    for name, grad in one[1].items():
        wanted = other[1][name]
        room = 1e-5 * float(wanted.abs().max()) + 1e-7 * largest
        assert float((grad - wanted).abs().max()) <= 10 * room, name


@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
@pytest.mark.parametrize("kind", ["llama", "qwen3", "qwen2", "mistral"])
def test_whole_layers_give_the_loss_and_the_gradients_of_their_own_code(
    kind: str, lora: bool
) -> None:
    found = []
    for lean in (False, True):
        model = model_of(kind)
        assert lay_end_to_end(model, 100)
        model = adapted(model) if lora else model
        if lean:
            assert make_lean(model) == LAYERS + 1  # and the head
        found.append(loss_and_gradients(model, end_to_end=True))
    same(*found)


@pytest.mark.parametrize("kind", ["olmo2", "granite", "glm", "phi3", "gemma2", "cohere"])
def test_other_layers_keep_their_own_code_and_give_the_same(kind: str) -> None:
    found = []
    for lean in (False, True):
        model = model_of(kind, **({"residual_multiplier": 0.5} if kind == "granite" else {}))
        if apart := kind != "gemma2":  # whose windows are shorter than its rows may be
            lay_end_to_end(model, 100)
        if lean:
            make_lean(model)
            assert not any("forward" in vars(layer) for layer in model.model.layers)
        found.append(loss_and_gradients(model, end_to_end=apart))
    same(*found)


def test_linear_layers_of_a_model_that_keeps_its_attention_are_lean() -> None:
    found = []
    for lean in (False, True):
        model = adapted(model_of("llama"))
        if lean:
            assert make_lean(model) == LAYERS * (7 + 1) + 1
        found.append(loss_and_gradients(model, end_to_end=False))
    same(*found)


@pytest.mark.parametrize("more", [{"lora_dropout": 0.1}, {"use_dora": True}])
def test_what_is_no_plain_adapter_keeps_its_own_code(more: dict[str, Any]) -> None:
    model = model_of("llama")
    lay_end_to_end(model, 100)
    model = adapted(model, **more)
    make_lean(model)
    adapters = [part for part in model.modules() if hasattr(part, "lora_A")]
    layers = model.get_base_model().model.layers
    assert not any("forward" in vars(part) for part in [*adapters, *layers])


def test_a_scale_of_the_square_root_is_a_plain_adapter() -> None:
    found = []
    for lean in (False, True):
        model = model_of("llama")
        lay_end_to_end(model, 100)
        model = adapted(model, use_rslora=True)
        if lean:
            assert make_lean(model) == LAYERS + 1
        found.append(loss_and_gradients(model, end_to_end=True))
    same(*found)


def test_below_the_lowest_adapter_nothing_is_kept_and_no_gradient_is_made(tiny: Path) -> None:
    """The first layer's input needs none, and frozen weights none at all."""
    model = load_model(Checkpoint(str(tiny)), "float32")
    lay_end_to_end(model, 100)
    model = adapted(model, target_modules=["down_proj"])
    make_lean(model)
    _, gradients = loss_and_gradients(model, end_to_end=True)
    assert all("lora_" in name for name in gradients)
    with torch.no_grad():
        plain = Linear(torch.randn(3, 5), None)
    (made,) = linears(torch.randn(2, 5), (plain,))
    assert not made.requires_grad


def test_an_answer_is_generated_with_a_cache_by_the_layers_own_code() -> None:
    ids = torch.tensor([[7, 1, 30, 9]])
    found = []
    for lean in (False, True):
        model = model_of("llama")
        lay_end_to_end(model, 100)
        if lean:
            make_lean(model)
        model.eval().set_attn_implementation("sdpa")
        found.append(model.generate(ids, max_new_tokens=6, do_sample=False, pad_token_id=0))
    assert found[0].tolist() == found[1].tolist()


@pytest.mark.parametrize("with_norm", [True, False])
@pytest.mark.parametrize("with_adapter", [True, False])
def test_gradients_of_layers_after_a_norm_against_differences(
    with_norm: bool, with_adapter: bool
) -> None:
    """By torch's own gradcheck, in double precision, of everything that may be trained."""

    def draw(*size: int) -> Any:
        return torch.randn(*size, dtype=torch.float64, requires_grad=True)

    torch.manual_seed(0)
    x, gauge, onto = draw(4, 3), draw(3), draw(4, 5)
    weights = [draw(5, 3), draw(5), draw(2, 3), draw(5, 2), draw(6, 3)]

    def whole(x: Any, gauge: Any, onto: Any, w: Any, b: Any, down: Any, up: Any, v: Any) -> Any:
        first = Linear(w, b, down, up, 0.7) if with_adapter else Linear(w, b)
        norm = Norm(gauge, 1e-6) if with_norm else None
        return linears(x, (first, Linear(v, None)), norm, onto)

    assert torch.autograd.gradcheck(whole, (x, gauge, onto, *weights))


def test_a_product_is_a_product() -> None:
    torch.manual_seed(0)
    x, weight, bias, onto = (torch.randn(*size) for size in ((5, 7), (3, 7), (3,), (5, 3)))
    wanted = x.double() @ weight.double().T + bias + onto
    assert torch.allclose(product(x, weight, bias, onto).double(), wanted, atol=1e-5)
    across = product(x.T.contiguous().T, weight.T.contiguous().T)
    assert torch.allclose(across.double(), x.double() @ weight.double().T, atol=1e-5)


@pytest.mark.parametrize("more", [{"use_dora": True}, {"lora_dropout": 0.5}])
def test_an_adapter_that_is_not_plain_keeps_its_own_code_wherever_it_stands(
    more: dict[str, Any],
) -> None:
    """Before the first step, and in eval, it answers as a plain one does: nothing but its kind tells them apart."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    options = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **more}
    model = get_peft_model(model_of("llama"), LoraConfig(**options))
    make_lean(model.eval())
    model.train()
    for name, weight in model.named_parameters():
        if "lora_B" in name or "magnitude" in name:
            torch.nn.init.normal_(weight, std=0.5)
    ids = torch.tensor([[3, 1, 4, 1, 5]])

    def answered() -> Any:
        torch.manual_seed(7)
        return model(ids).logits

    lean = answered()
    for module in model.modules():
        module.__dict__.pop("forward", None)
    assert torch.allclose(lean, answered(), atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_layer_that_draws_keeps_its_own_code(dropout: float) -> None:
    """Dropout after the projections, in eval mode as `from_pretrained` leaves a model: seen in training alone."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = KINDS["llama"] | {"residual_dropout": dropout, "attention_dropout": 0.0, "head_dim": 16}
    torch.manual_seed(0)
    model = (
        AutoModelForCausalLM.from_config(AutoConfig.for_model("seed_oss", **shape)).float().eval()
    )
    lay_end_to_end(model, 100)
    make_lean(model)
    model.train()
    batch = as_tensors(lay_out(ROWS))
    one, other = (
        model(
            **{k: v for k, v in batch.items() if k not in ("targets", "weights", "learned")}
        ).logits
        for _ in range(2)
    )
    assert torch.equal(one, other) is (dropout == 0.0)
