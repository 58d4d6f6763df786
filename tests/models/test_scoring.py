from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.loading import load_for_scoring, load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import joined
from alpaca_pipe.models.scoring import response_losses
from alpaca_pipe.weights.base import Checkpoint

ROWS = [joined(range(3, 3 + n), [*range(40, 40 + n * 7 % 23), 2]) for n in (9, 30, 3, 17, 5)]


def test_sums_are_those_of_each_row_alone(tiny: Path) -> None:
    """Against transformers' own loss on unpadded single rows."""
    model, _ = load_for_scoring(Checkpoint(str(tiny)))
    done: list[int] = []
    for batch_tokens in (1, 60, 10_000):
        scores = response_losses(model, [(row,) for row in ROWS], batch_tokens, done.append)
        for row, got in zip(ROWS, scores, strict=True):
            labels = [i if learned else -100 for i, learned in zip(row.ids, row.mask, strict=True)]
            mean = model(
                input_ids=torch.tensor([row.ids]), labels=torch.tensor([labels])
            ).loss.item()
            assert got.tokens == row.learned and got.nats == pytest.approx(
                mean * row.learned, rel=1e-5
            )
    assert done[:5] == [1, 2, 3, 4, 5] and done[-1] == 5


def test_a_row_of_several_sequences_is_their_sum(tiny: Path) -> None:
    model, _ = load_for_scoring(Checkpoint(str(tiny)))
    one, other, both = response_losses(model, [(ROWS[0],), (ROWS[3],), (ROWS[0], ROWS[3])], 20)
    assert both.tokens == one.tokens + other.tokens
    assert both.nats == pytest.approx(one.nats + other.nats, rel=1e-5)


def test_a_model_in_training_mode_is_refused(tiny: Path) -> None:
    with pytest.raises(ValueError, match="training mode"):
        response_losses(load_model(Checkpoint(str(tiny)), "float32").train(), [(ROWS[0],)])


def test_padding_never_resizes_and_never_is_missing(tiny: Path, llama: object) -> None:
    assert load_tokenizer(Checkpoint(str(tiny))).pad_token == "<unk>"
    source = llama.name_or_path  # type: ignore[attr-defined]
    words = load_tokenizer(Checkpoint(source))
    assert words.pad_token == "<unk>" and len(words) == 32_000


def test_what_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    empty = Checkpoint(str(tmp_path))
    for load in (lambda: load_model(empty, "float32"), lambda: load_tokenizer(empty)):
        with pytest.raises(UserError, match="cannot be loaded"):
            load()
