"""Every method: what was trained is what is saved and merged; what changes nothing changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.models.loading import load_base_of, load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.models.nf4 import note_nf4
from alpaca_pipe.train.adapter import save_adapter, with_adapter
from alpaca_pipe.train.adapter_config import Lora
from alpaca_pipe.train.hyperparameters import Hyperparameters, Objective
from alpaca_pipe.train.micro_batches import IGNORED, Row, as_padded_tensors, as_tensors, lay_out
from alpaca_pipe.train.neftune import lengths_of, noise
from alpaca_pipe.train.response_loss import nats_of_logits, summed_nats
from alpaca_pipe.train.sft import tune
from alpaca_pipe.weights.base import Checkpoint
from tests.train.conftest import HYPER, with_

PLAIN = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": "all-linear"}
ADAPTERS = {
    "lora": PLAIN,
    "rslora": PLAIN | {"use_rslora": True},
    "dora": PLAIN | {"use_dora": True},
    "pissa": PLAIN | {"init_lora_weights": "pissa"},
    "head too": PLAIN | {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
}
FULL = with_(HYPER, lora=None, learning_rate=1e-3)


@pytest.fixture(scope="module")
def untied(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with an output layer of its own."""
    folder = tmp_path_factory.mktemp("untied")
    model = base(tiny)
    model.config.tie_word_embeddings = False
    apart = type(model)(model.config)
    apart.load_state_dict(model.state_dict())
    apart.save_pretrained(folder)
    load_tokenizer(Checkpoint(str(tiny))).save_pretrained(folder)
    return folder


def base(tiny: Path, nf4: bool = False) -> Any:
    return load_model(Checkpoint(str(tiny)), "float32", nf4=nf4)


def tuned_by(
    tiny: Path,
    rows: list[Encoded],
    hyper: Hyperparameters,
    folder: Path,
    nf4: bool = False,
    **more: Any,
) -> Any:
    (folder / "scratch").mkdir(parents=True)
    tokenizer = load_tokenizer(Checkpoint(str(tiny)))
    log = folder / "loss.jsonl"
    return tune(base(tiny, nf4), tokenizer, rows, hyper, folder / "scratch", log, "tuned", **more)


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_jsonl(folder / "loss.jsonl")]


def logits(model: Any, rows: list[Encoded]) -> Any:
    """By the attention that the base came with; a tune leaves its own, which needs its rows' layout."""
    model.eval().set_attn_implementation("sdpa")
    with torch.no_grad():
        return torch.cat([model(input_ids=torch.tensor([row.ids])).logits[0] for row in rows])


@pytest.mark.parametrize("how", [*ADAPTERS, "qlora"])
def test_what_was_trained_is_saved_reloaded_and_merged(
    how: str, untied: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """The adapter alone, put onto the base again by others' code, answers as the trained model did; merged too."""
    if nf4 := how == "qlora":
        pytest.importorskip("bitsandbytes")
    from peft import PeftModel

    hyper = with_(HYPER, lora=ADAPTERS.get(how, PLAIN), num_train_epochs=2.0)
    model = tuned_by(untied, encoded, hyper, tmp_path, nf4)
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]
    wanted = logits(model, encoded[:4])
    assert not torch.allclose(wanted, logits(base(untied), encoded[:4]), atol=1e-2)
    saved = tmp_path / "model"
    save_adapter(model, "org/base", tmp_path / "scratch", saved)
    if nf4:
        note_nf4(saved)
    again = PeftModel.from_pretrained(
        load_base_of(Checkpoint(str(untied)), saved, "float32"), str(saved)
    )
    assert torch.allclose(wanted, logits(again, encoded[:4]), atol=1e-4)
    merged = again.merge_and_unload(safe_merge=True)
    assert torch.allclose(wanted, logits(merged, encoded[:4]), atol=1e-4)


@pytest.mark.parametrize("how", ADAPTERS)
def test_an_adapter_begins_as_the_base(
    how: str, untied: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    wanted = logits(base(untied), encoded[:4])
    found = logits(with_adapter(base(untied), ADAPTERS[how], tmp_path), encoded[:4])
    assert torch.allclose(wanted, found, atol=1e-5)


def test_a_base_of_four_bits_is_what_its_rounding_says(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """What is trained beside, scored on and merged into is one: the rounded base, and not the base as published."""
    pytest.importorskip("bitsandbytes")
    quantised = base(tiny, nf4=True)
    note_nf4(tmp_path)
    plain = load_base_of(Checkpoint(str(tiny)), tmp_path, "float32")
    assert torch.equal(logits(quantised, encoded[:4]), logits(plain, encoded[:4]))
    one, other = (
        model.model.layers[0].self_attn.q_proj.weight.float() for model in (plain, base(tiny))
    )
    assert 0 < float((one - other).abs().max()) < 0.2 * float(other.abs().max())


@pytest.mark.parametrize("hyper", [HYPER, FULL], ids=["lora with dropout", "full"])
def test_checkpointing_changes_no_bit(
    hyper: Hyperparameters, tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    for name, on in (("off", False), ("on", True)):
        tuned_by(tiny, encoded, with_(hyper, checkpointing=on), tmp_path / name)
    assert losses(tmp_path / "on") == losses(tmp_path / "off")


def test_weights_that_are_all_alike_are_none(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """To the bit where they are 1; a common factor falls out of the mean. Unlike ones change the loss."""
    for name, weight in (("none", None), ("ones", 1.0), ("twos", 2.0)):
        weights = None if weight is None else [weight] * len(encoded)
        tuned_by(tiny, encoded, FULL, tmp_path / name, weights=weights)
    assert losses(tmp_path / "none") == losses(tmp_path / "ones")
    assert losses(tmp_path / "twos") == pytest.approx(losses(tmp_path / "none"), rel=1e-5)
    unlike = [1.0 + place % 2 for place in range(len(encoded))]
    tuned_by(tiny, encoded, FULL, tmp_path / "unlike", weights=unlike)
    assert losses(tmp_path / "unlike")[0] != pytest.approx(losses(tmp_path / "none")[0], rel=1e-4)


def test_a_prompt_that_weighs_as_much_as_its_answer_is_language_modelling(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """Known answer: all rows in one step, by the model's own loss over every token but the first."""
    hyper = with_(
        FULL,
        per_device_train_batch_size=len(encoded),
        objective=Objective(prompt_loss_weight=1.0),
        max_steps=1,
    )
    tuned_by(tiny, encoded, hyper, tmp_path)
    model, nats, tokens = base(tiny), 0.0, 0
    for row in encoded:
        ids = torch.tensor([row.ids])
        nats += float(model(input_ids=ids, labels=ids).loss) * (len(row.ids) - 1)
        tokens += len(row.ids) - 1
    assert losses(tmp_path) == pytest.approx([nats / tokens], rel=1e-5)


@pytest.mark.parametrize("dft", [False, True])
def test_weighted_loss_by_parts_is_that_of_the_whole(dft: bool) -> None:
    """Value and both gradients against autograd on all logits at once, written as the paper writes it."""
    torch.manual_seed(0)
    places, size, words = 300, 8, 20
    hidden, head = torch.randn(places, size), torch.randn(words, size)
    targets, weights = torch.randint(0, words, (places,)), torch.rand(places)

    def by(loss: Any) -> list[Any]:
        one, other = hidden.clone().requires_grad_(), head.clone().requires_grad_()
        found = loss(one, other)
        return [found.detach(), *torch.autograd.grad(found, [one, other])]

    def whole(one: Any, other: Any) -> Any:
        said = torch.log_softmax(one @ other.T, dim=-1)[torch.arange(places), targets]
        return -(weights * (said.exp().detach() if dft else 1) * said).sum()

    wanted = by(whole)
    for found in (
        by(lambda one, other: summed_nats(one, other, targets, weights, dft)),
        by(lambda one, other: nats_of_logits(one @ other.T, targets, weights, dft)),
    ):
        assert all(
            torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(found, wanted, strict=True)
        )


def test_noise_is_as_large_as_its_own_row_says() -> None:
    """A row's noise is at most alpha / sqrt(tokens x size), the same where rows lie end to end and side by side."""
    rows = [Row(list(range(n)), [IGNORED] * n) for n in (16, 4, 9, 4)]
    packed, padded = as_tensors(lay_out(rows, share=False)), as_padded_tensors(rows, 0)
    assert lengths_of(packed).tolist() == [[16] * 16 + [4] * 4 + [9] * 9 + [4] * 4]
    assert lengths_of(padded)[:, 0].tolist() == [16, 4, 9, 4]
    embedding = torch.nn.Embedding(20, 64)
    with noise(embedding, 5.0, lengths_of(packed)):
        found = embedding(packed["input_ids"])
    apart = (found - embedding(packed["input_ids"])).abs()[0]
    for first, length in ((0, 16), (16, 4), (20, 9), (29, 4)):
        most = 5.0 / (length * 64) ** 0.5
        assert 0.8 * most < float(apart[first : first + length].max()) <= most * 1.00001


def test_noise_is_there_in_training_alone(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    noisy = with_(FULL, objective=Objective(neftune_noise_alpha=5.0))
    model = tuned_by(tiny, encoded, noisy, tmp_path / "noisy")
    tuned_by(tiny, encoded, FULL, tmp_path / "plain")
    assert losses(tmp_path / "noisy")[0] != losses(tmp_path / "plain")[0]
    assert torch.equal(logits(model, encoded[:2]), logits(model, encoded[:2]))


@pytest.mark.parametrize("optim", ["sgd", "adafactor", "adamw_torch"])
def test_another_optimizer_takes_other_steps(
    optim: str, tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    tuned_by(tiny, encoded, with_(FULL, optimizer={"optim": optim}), tmp_path / "one")
    tuned_by(tiny, encoded, FULL, tmp_path / "other")
    one, other = losses(tmp_path / "one"), losses(tmp_path / "other")
    assert one[0] == other[0] and (optim == "adamw_torch" or one[-1] != other[-1])


def test_a_copy_of_tied_weights_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="embedding and output layer at once"):
        with_adapter(base(tiny), ADAPTERS["head too"], tmp_path)
    with pytest.raises(UserError, match="no module 'lm_haed'"):
        with_adapter(base(tiny), PLAIN | {"modules_to_save": ["lm_haed"]}, tmp_path)


def test_an_adapter_on_the_head_is_refused() -> None:
    """The loss is calculated from the head's own weight: what is added to it would never be trained."""
    with pytest.raises(ValidationError, match="modules_to_save"):
        Lora(target_modules=("q_proj", "lm_head"))
