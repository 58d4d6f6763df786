"""Same thing, same numbers, by two architectures: a LLaMA, and one like Qwen3 (grouped heads wider than the model, norms of
queries and keys). What is compared with is transformers' own padded forward pass with its own labels and loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.export.merge import merge
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoded, Encoder
from alpaca_pipe.models.saved_template import save_template
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.train.adapter import save_adapter, with_adapter
from alpaca_pipe.train.attention import lay_end_to_end
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.sft import tune
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.tiny import byte_tokenizer
from tests.train.conftest import HYPER, with_

FULL = with_(HYPER, lora=None, learning_rate=1e-3)
LORA = with_(HYPER, lora={**(HYPER.lora or {}), "lora_dropout": 0.0})
SIZES = {
    "vocab_size": 259,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {**GROUPED, "tie_word_embeddings": True},
    "qwen3": {**GROUPED, "head_dim": 16, "tie_word_embeddings": True},
}
LLAMA_EVERY_DAY = [
    pytest.param(kind, marks=() if kind == "llama" else pytest.mark.slow) for kind in KINDS
]
MORE: dict[str, dict[str, Any]] = {
    "qwen2": GROUPED,
    "mistral": {**GROUPED, "sliding_window": None},
    "gemma3_text": {**GROUPED, "head_dim": 16, "sliding_window": 16},
    "gemma2": {**GROUPED, "head_dim": 16, "final_logit_softcapping": 1.0},
    "phi3": GROUPED,
    "olmo2": GROUPED,
    "granite": {**GROUPED, "logits_scaling": 4.0, "embedding_multiplier": 3.0},
    "cohere": {**GROUPED, "logit_scale": 0.25},
    "smollm3": GROUPED,
    "glm": {**GROUPED, "head_dim": 8},
    "gpt_neox": SIZES,
    "gpt2": {
        "vocab_size": 259,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 2048,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A base on disk for each kind, with weights large enough that attention matters."""
    made: dict[str, Path] = {}

    def base(kind: str) -> Path:
        if kind not in made:
            from transformers import AutoConfig, AutoModelForCausalLM

            made[kind] = tmp_path_factory.mktemp(kind)
            torch.manual_seed(0)
            config = AutoConfig.for_model(kind, **(KINDS | MORE)[kind])
            model = AutoModelForCausalLM.from_config(config).float()
            with torch.no_grad():
                for name, weight in model.named_parameters():
                    if weight.ndim == 2 and "embed" not in name and "wte" not in name:
                        weight.mul_(4)
            model.save_pretrained(made[kind])
            byte_tokenizer().save_pretrained(made[kind])
        return made[kind]

    return base


def loaded(base: Path) -> Any:
    return load_model(Checkpoint(str(base)), "float32")


def tuned(
    base: Path, rows: list[Encoded], hyper: Hyperparameters, folder: Path, **more: Any
) -> Any:
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    words, log = load_tokenizer(Checkpoint(str(base))), folder / "loss.jsonl"
    return tune(loaded(base), words, rows, hyper, folder / "scratch", log, "tuned", **more)


def trained(model: Any) -> dict[str, Any]:
    return {name: one.detach() for name, one in model.named_parameters() if one.requires_grad}


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_jsonl(folder / "loss.jsonl")]


def padded_loss(model: Any, rows: list[Encoded]) -> Any:
    """Transformers' own: padded rows, -100 where nothing is learned, its mean over what is."""
    width = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels, real = torch.full_like(ids, -100), torch.zeros_like(ids)
    for place, row in enumerate(rows):
        end = len(row.ids)
        ids[place, :end] = torch.tensor(row.ids)
        real[place, :end] = 1
        learned = torch.tensor(row.mask)
        labels[place, :end][learned] = ids[place, :end][learned]
    return model(input_ids=ids, attention_mask=real, labels=labels).loss


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_the_first_step_is_that_of_padded_rows(
    kind: str, bases: Callable[[str], Path], encoded: list[Encoded], tmp_path: Path
) -> None:
    """Loss and gradient: with plain SGD a step's change of the weights is its gradient."""
    rows = encoded[:6]
    hyper = with_(
        FULL,
        optimizer={"optim": "sgd", "max_grad_norm": 0.0},
        learning_rate=1.0,
        lr_scheduler_type="constant",
        warmup_steps=0,
        max_steps=1,
        per_device_train_batch_size=len(rows),
    )
    stepped = trained(tuned(bases(kind), rows, hyper, tmp_path))
    model = loaded(bases(kind))
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    loss = padded_loss(model.train(), rows)
    loss.backward()
    assert losses(tmp_path) == [pytest.approx(float(loss.detach()), rel=1e-5)]
    for name, weight in model.named_parameters():
        step, wanted = before[name] - stepped[name], weight.grad
        room = 1e-5 * float(wanted.abs().max()) + 1e-6 * float(before[name].abs().max())
        assert float((step - wanted).abs().max()) <= 2 * room, name


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_laid_end_to_end_and_nothing_is_padded(
    kind: str, bases: Callable[[str], Path]
) -> None:
    assert lay_end_to_end(loaded(bases(kind)), 1000)


@pytest.mark.parametrize("kind", LLAMA_EVERY_DAY)
def test_eight_of_one_are_one_of_eight(
    kind: str, bases: Callable[[str], Path], encoded: list[Encoded], tmp_path: Path
) -> None:
    found = {}
    for at_once, times in ((8, 1), (1, 8), (2, 4)):
        hyper = with_(FULL, per_device_train_batch_size=at_once, gradient_accumulation_steps=times)
        folder = tmp_path / f"{at_once}"
        found[at_once] = (trained(tuned(bases(kind), encoded, hyper, folder)), losses(folder))
    for at_once in (1, 2):
        assert apart(found[8][0], found[at_once][0]) < 1e-5
        assert found[8][1] == pytest.approx(found[at_once][1], rel=1e-5)


@pytest.mark.parametrize("kind", LLAMA_EVERY_DAY)
@pytest.mark.parametrize("hyper", [LORA, FULL], ids=["lora", "full"])
def test_resumed_is_uninterrupted_to_the_bit(
    hyper: Hyperparameters,
    kind: str,
    bases: Callable[[str], Path],
    encoded: list[Encoded],
    tmp_path: Path,
) -> None:
    whole = trained(tuned(bases(kind), encoded, hyper, tmp_path / "whole"))
    steps: list[int] = []

    def at(step: int, loss: float) -> None:
        steps.append(step)

    parts = tmp_path / "parts"
    assert (
        tuned(bases(kind), encoded, hyper, parts, at=at, stopping=lambda: steps[-1:] >= [3]) is None
    )
    resumed = trained(tuned(bases(kind), encoded, hyper, parts, at=at))
    assert apart(whole, resumed) == 0.0 and steps == list(range(1, 7))
    assert (tmp_path / "whole/loss.jsonl").read_text() == (parts / "loss.jsonl").read_text()


@pytest.mark.parametrize("kind", LLAMA_EVERY_DAY)
def test_an_adapter_begins_as_the_base_and_merged_answers_as_it(
    kind: str, bases: Callable[[str], Path], encoded: list[Encoded], tmp_path: Path
) -> None:
    def answers(model: Any) -> Any:
        model.eval().set_attn_implementation("eager")
        with torch.no_grad():
            return torch.cat(
                [model(input_ids=torch.tensor([one.ids])).logits[0] for one in encoded[:3]]
            )

    assert LORA.lora
    base = answers(loaded(bases(kind)))
    begun = answers(with_adapter(loaded(bases(kind)), LORA.lora, tmp_path))
    assert float((begun - base).abs().max()) <= 1e-5
    model = tuned(bases(kind), encoded, LORA, tmp_path / "tune")
    after = answers(model)
    assert float((after - base).abs().max()) > 0.1
    saved = tmp_path / "model"
    save_adapter(model, "org/base", tmp_path / "tune" / "scratch", saved)
    save_template(saved, Encoder(load_tokenizer(Checkpoint(str(bases(kind)))), TEMPLATES["alpaca"]))
    checkpoint, merged = Checkpoint(str(bases(kind))), tmp_path / "merged"
    figures = merge(checkpoint, saved, merged, "float32", encoded[:3], lambda said: None)
    assert figures.max_difference <= figures.limit and figures.top1 == 1.0
    assert float((answers(loaded(merged)) - after).abs().max()) < 1e-4


@pytest.mark.parametrize("kind", LLAMA_EVERY_DAY)
def test_checkpointing_and_weights_of_one_change_no_bit(
    kind: str, bases: Callable[[str], Path], encoded: list[Encoded], tmp_path: Path
) -> None:
    plain = trained(tuned(bases(kind), encoded, FULL, tmp_path / "plain"))
    again = with_(FULL, checkpointing=True)
    assert apart(plain, trained(tuned(bases(kind), encoded, again, tmp_path / "again"))) == 0.0
    ones = tuned(bases(kind), encoded, FULL, tmp_path / "ones", weights=[1.0] * len(encoded))
    assert apart(plain, trained(ones)) < 1e-6
