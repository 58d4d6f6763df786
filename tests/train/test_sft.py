"""Same thing, same numbers: what TRL is given is what it trains, however the rows are laid out or interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.models.scoring import response_losses
from alpaca_pipe.train.attention import lay_end_to_end
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.micro_batches import Row, as_tensors, micro_batches
from alpaca_pipe.train.sft import tune
from alpaca_pipe.train.trainer import nats_of
from alpaca_pipe.weights.base import Checkpoint
from tests.train.conftest import HYPER, with_
from tests.waiting import until

FULL = with_(HYPER, lora=None, learning_rate=1e-3)


def tuned(
    tiny: Path, rows: list[Encoded], hyper: Hyperparameters, folder: Path, **more: Any
) -> dict[str, Any] | None:
    """The trained weights by name, or None where it was stopped."""
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(str(tiny))
    model = tune(
        load_model(checkpoint, "float32"),
        load_tokenizer(checkpoint),
        rows,
        hyper,
        scratch,
        folder / "loss.jsonl",
        "tuned",
        **more,
    )
    return model and {
        name: weight.detach().clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def near(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.allclose(one[name], other[name], atol=2e-6) for name in one)


def test_one_batch_of_eight_is_eight_of_one(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """Also in the last, partial step: 22 rows make 8 + 8 + 6. SGD-like sizes: weights, not only losses, agree."""
    wide = with_(FULL, per_device_train_batch_size=8)
    deep = with_(FULL, per_device_train_batch_size=1, gradient_accumulation_steps=8)
    one, other = (
        tuned(tiny, encoded, hyper, tmp_path / name)
        for name, hyper in (("wide", wide), ("deep", deep))
    )
    assert one and other and near(one, other)
    losses = [
        [row["loss"] for row in read_jsonl(tmp_path / name / "loss.jsonl")]
        for name in ("wide", "deep")
    ]
    assert len(losses[0]) == 3 and losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_first_loss_is_the_response_loss_of_the_rows(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """Our ids and our mask reach the model: scored by other code, all rows in one step give the same loss."""
    tuned(tiny, encoded, with_(FULL, per_device_train_batch_size=len(encoded)), tmp_path)
    scores = response_losses(
        load_model(Checkpoint(str(tiny)), "float32").eval(), [(row,) for row in encoded]
    )
    first = next(iter(read_jsonl(tmp_path / "loss.jsonl")))
    assert first["loss"] == pytest.approx(
        sum(s.nats for s in scores) / sum(s.tokens for s in scores), rel=1e-5
    )
    assert first["tokens"] == sum(len(row.ids) for row in encoded)


def gradients_of(model: Any, loss: Any) -> dict[str, Any]:
    loss.backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("share", [True, False])
def test_rows_laid_end_to_end_do_not_see_each_other(
    tiny: Path, encoded: list[Encoded], share: bool
) -> None:
    """Loss and gradient, not only the loss: cross-talk hides in the curve and spoils the gradient."""
    rows = [Row.of(row.ids, row.mask) for row in encoded[:7]]
    model = load_model(Checkpoint(str(tiny)), "float32")
    assert lay_end_to_end(model, 1000)
    head = model.get_output_embeddings()
    ours = sum(nats_of(model, head, as_tensors(b)) for b in micro_batches(rows, 7, share))
    one = gradients_of(model, ours)
    other_model = load_model(Checkpoint(str(tiny)), "float32")
    theirs = sum(
        torch.nn.functional.cross_entropy(
            other_model(input_ids=torch.tensor([row.ids])).logits[0][:-1][
                torch.tensor(row.mask[1:])
            ],
            torch.tensor(row.ids[1:])[torch.tensor(row.mask[1:])],
            reduction="sum",
        )
        for row in encoded[:7]
    )
    other = gradients_of(other_model, theirs)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    assert all(torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-4) for name in one)


def test_a_model_with_a_window_is_trained_padded(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    shape = MistralConfig(
        vocab_size=259,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=4096,
    )
    torch.manual_seed(0)
    model = MistralForCausalLM(shape)
    assert not lay_end_to_end(model, 5000)
    scores = response_losses(model.eval(), [(row,) for row in encoded])
    hyper = with_(FULL, per_device_train_batch_size=len(encoded), max_steps=1)
    (tmp_path / "scratch").mkdir()
    tune(
        model,
        load_tokenizer(Checkpoint(str(tiny))),
        encoded,
        hyper,
        tmp_path / "scratch",
        tmp_path / "loss.jsonl",
        "tuned",
    )
    first = next(iter(read_jsonl(tmp_path / "loss.jsonl")))
    assert first["loss"] == pytest.approx(
        sum(s.nats for s in scores) / sum(s.tokens for s in scores), rel=1e-5
    )


@pytest.mark.parametrize("hyper", [HYPER, FULL], ids=["lora", "full"])
def test_stopped_and_resumed_is_uninterrupted_bit_for_bit(
    hyper: Hyperparameters, tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """Dropout, shuffling, optimizer and schedule included; stopped once inside each of the two epochs."""
    hyper = with_(hyper, num_train_epochs=2.0)
    whole = tuned(tiny, encoded, hyper, tmp_path / "whole")
    asked: list[int] = []
    for stop_at in (3, 8):
        assert (
            tuned(
                tiny,
                encoded,
                hyper,
                tmp_path / "parts",
                at=lambda step, loss: asked.append(step),
                stopping=lambda stop_at=stop_at: asked[-1:] >= [stop_at],
            )
            is None
        )
    resumed = tuned(
        tiny, encoded, hyper, tmp_path / "parts", at=lambda step, loss: asked.append(step)
    )
    assert asked == list(range(1, 13))  # no step is taken twice
    assert whole and resumed and same(whole, resumed)
    logs = [(tmp_path / name / "loss.jsonl").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_kill_in_the_middle_of_a_checkpoint(
    tiny: Path, encoded: list[Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torn checkpoint, newer than the whole one and without its optimizer, is thrown away; the result is the same."""
    whole = tuned(tiny, encoded, HYPER, tmp_path / "whole")
    asked: list[int] = []
    assert (
        tuned(
            tiny,
            encoded,
            HYPER,
            tmp_path / "parts",
            at=lambda step, loss: asked.append(step),
            stopping=lambda: asked[-1:] >= [2],
        )
        is None
    )
    torn = tmp_path / "parts" / "scratch" / "checkpoint-4"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": 4')
    resumed = tuned(tiny, encoded, HYPER, tmp_path / "parts")
    assert whole and resumed and same(whole, resumed) and not torn.exists()


def test_kill_minus_nine(tiny: Path, encoded: list[Encoded], tmp_path: Path) -> None:
    """A real process, killed while it trains and saves after every step."""
    whole = tuned(tiny, encoded, with_(HYPER, num_train_epochs=4.0), tmp_path / "whole")
    code = (
        "import sys; from pathlib import Path; import alpaca_pipe.train.watch as watch;"
        "from tests.train.conftest import *;"
        "from tests.train.test_sft import tuned; watch._SAVE_AT_MOST_EVERY = 0; watch._SAVE_SHARE = 1e9;"
        "rows = [r for r, in Encoder(byte_tokenizer(), TEMPLATES['alpaca']).encode(examples(22), 1000)];"
        "tuned(Path(sys.argv[1]), rows, with_(HYPER, num_train_epochs=4.0), Path(sys.argv[2]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tiny), str(tmp_path / "parts")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
    )
    log = tmp_path / "parts" / "loss.jsonl"
    until(lambda: log.exists() and len(log.read_text().splitlines()) >= 5, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    asked: list[int] = []
    resumed = tuned(
        tiny,
        encoded,
        with_(HYPER, num_train_epochs=4.0),
        tmp_path / "parts",
        at=lambda step, loss: asked.append(step),
    )
    assert asked[0] >= 4, "it began again"
    assert whole and resumed and same(whole, resumed)


@pytest.mark.parametrize(
    ("rows", "batch", "accumulate", "epochs", "cap"),
    [(22, 4, 1, 1.0, None), (22, 4, 2, 2.5, None), (5, 8, 1, 3.0, None), (5, 8, 4, 1.0, 2)],
)
def test_steps_are_counted_as_the_trainer_counts_them(
    rows: int,
    batch: int,
    accumulate: int,
    epochs: float,
    cap: int | None,
    tiny: Path,
    encoded: list[Encoded],
    tmp_path: Path,
) -> None:
    hyper = with_(
        HYPER,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulate,
        num_train_epochs=epochs,
        max_steps=cap,
    )
    tuned(tiny, encoded[:rows], hyper, tmp_path)
    assert len(list(read_jsonl(tmp_path / "loss.jsonl"))) == hyper.steps(rows)


def test_alpaca_takes_1221_steps() -> None:
    """52,002 rows, 3 epochs, batch 128, the last partial batch of each epoch kept (ALPACA.md)."""
    assert with_(HYPER, num_train_epochs=3.0, gradient_accumulation_steps=32).steps(52_002) == 1_221
