"""`objective: pretrain`: every token of the texts is learned, and the growths beside are tuned on the same rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alpaca_pipe.core.files import file_digest, read_jsonl
from alpaca_pipe.data.plain_texts import read_texts
from alpaca_pipe.data.texts_table import TextsTable
from alpaca_pipe.models.packing import packed
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.run import train
from alpaca_pipe.weights.tiny import byte_tokenizer

torch = pytest.importorskip("torch")
SETTINGS: dict[str, Any] = {
    "objective": "pretrain",
    "method": "full",
    "max_length": 32,
    "max_steps": 3,
    "per_device_train_batch_size": 4,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0.0,
    "eval_strategy": "steps",
    "eval_steps": 1.0,
    "max_eval_samples": 2,
}


@pytest.fixture
def texts(tmp_path: Path) -> TextsTable:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"Text {number} says it {number} times. " * 9)
    return TextsTable.model_validate({"from": str(folder), "held_out": Decimal("0.2")})


def with_texts(context: StageContext, texts: TextsTable, tiny: Path) -> StageContext:
    beside = context.folder.parent / "beside"
    if not beside.exists():
        shutil.copytree(tiny, beside / "scratch")
    object.__setattr__(context, "tables", {**context.tables, "texts": texts})
    object.__setattr__(context, "inputs", {"grow/model": tiny, "grow/beside": beside})
    return context


def test_the_first_loss_is_that_of_plain_next_token_prediction(
    bench: Callable[..., StageContext], texts: TextsTable, tiny: Path
) -> None:
    """The mean of cross entropy over all tokens of the step's rows, by transformers' own logits; and the same of held-out rows."""
    from transformers import AutoModelForCausalLM

    context = with_texts(bench("a"), texts, tiny)
    config = TrainConfig.model_validate(
        SETTINGS | {"max_steps": 1, "per_device_train_batch_size": 999}
    )
    summary = train(config, context).summary
    model = AutoModelForCausalLM.from_pretrained(tiny)
    rows = packed(read_texts(texts).train, byte_tokenizer(), 32)
    nats, tokens = 0.0, 0
    for row in rows:
        ids = torch.tensor(row.ids)
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0, :-1]
        nats += float(torch.nn.functional.cross_entropy(logits, ids[1:], reduction="sum"))
        tokens += len(ids) - 1
    (first, *_) = read_jsonl(context.folder / "loss.jsonl")
    assert first["loss"] == pytest.approx(nats / tokens, abs=1e-4)
    assert summary["rows"] == len(rows) and summary["learned_tokens"] == tokens
    assert (context.folder / "beside" / "scratch" / "model.safetensors").is_file()
    both = [row for row in read_jsonl(context.folder / "eval.jsonl")]
    assert {row["which"] for row in both} == {"tuned", "scratch"}
    assert both[0]["eval_loss"] == pytest.approx(both[1]["eval_loss"], abs=1e-6)  # one base, twice


def test_it_comes_out_the_same_again(
    bench: Callable[..., StageContext], texts: TextsTable, tiny: Path
) -> None:
    config = TrainConfig.model_validate(SETTINGS)
    marks = []
    for name in ("a", "b"):
        context = with_texts(bench(name), texts, tiny)
        train(config, context)
        marks.append(file_digest(context.folder / "model" / "model.safetensors"))
    assert marks[0] == marks[1]


@pytest.mark.parametrize(
    "key", [{"template": "chatml"}, {"control": "shuffled"}, {"prompt_loss_weight": 0.1}]
)
def test_keys_of_answers_are_refused(key: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="objective pretrain reads plain texts"):
        TrainConfig.model_validate({"objective": "pretrain", **key})
    assert not TrainConfig.model_validate({"objective": "pretrain", "control": "none"}).shuffles
