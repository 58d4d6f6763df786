"""The whole stage on a tiny LLaMA: better where the tune learned the task, not where it learned only the form."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import read_json, read_jsonl
from alpaca_pipe.evaluate.config import EvaluateConfig
from alpaca_pipe.evaluate.held_out import encode_alike
from alpaca_pipe.evaluate.samples import answers
from alpaca_pipe.evaluate.stage import STAGE
from alpaca_pipe.models.loading import load_for_scoring, load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import save_template, saved_encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.stage import EstimateInputs
from alpaca_pipe.weights.base import BaseTable, Checkpoint
from tests.evaluate.conftest import ANSWERS, Said, World, rows


def run(world: World, folder: Path, **inputs: Path | None) -> dict:  # type: ignore[type-arg]
    return dict(STAGE.run(EvaluateConfig(max_new_tokens=10), world.bench(folder, **inputs)).summary)


def test_better_and_every_number_comes_from_the_rows(world: World, tmp_path: Path) -> None:
    summary = run(world, tmp_path)
    assert summary["verdict"] == "better" and summary["rows"] == 16 and not summary["missing"]
    assert summary["tokens"] == sum(
        len(ANSWERS[list(ANSWERS)[n % 4]]) + 1 for n in range(100, 116)
    )  # bytes and EOS
    assert set(summary["difference"]) == {"base", "chat", "shuffled"}
    assert summary == read_json(tmp_path / "verdict.json") and summary == json.loads(
        json.dumps(summary)
    )
    losses = list(read_jsonl(tmp_path / "losses.jsonl"))
    assert len(losses) == 4 * 16
    for name, interval in summary["loss"].items():
        own = [row for row in losses if row["model"] == name]
        assert interval["mean"] == pytest.approx(
            sum(r["nats"] for r in own) / sum(r["tokens"] for r in own), abs=1e-6
        )
    samples = list(read_jsonl(tmp_path / "samples.jsonl"))
    assert len(samples) == 4 and sum(sample["tuned"] == sample["wanted"] for sample in samples) >= 3
    assert all(sample["tuned_ended"] for sample in samples) and not any(
        sample["base_ended"] for sample in samples
    )


def test_the_loss_is_that_of_a_plain_forward_pass(world: World, tmp_path: Path) -> None:
    import torch

    run(world, tmp_path)
    model, tokenizer = load_for_scoring(Checkpoint(str(world.base)), world.tuned)
    example = rows(100, 1)[0]
    prompt = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the "
        f"request.\n\n### Instruction:\n{example.instruction}\n\n### Response:\n"
    )
    ids = [
        tokenizer.bos_token_id,
        *tokenizer(prompt + example.output + "</s>", add_special_tokens=False)["input_ids"],
    ]
    answer = len(example.output) + 1
    with torch.no_grad():
        said = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0], dim=-1)
    nats = -sum(float(said[place - 1, ids[place]]) for place in range(len(ids) - answer, len(ids)))
    first = next(row for row in read_jsonl(tmp_path / "losses.jsonl") if row["model"] == "tuned")
    assert first["tokens"] == answer and first["nats"] == pytest.approx(nats, rel=1e-4)


def test_a_tune_that_learned_only_the_form_is_not_better(world: World, tmp_path: Path) -> None:
    summary = run(world, tmp_path, model=world.control, control=world.tuned)
    assert summary["difference"]["base"]["hi"] < 0  # it does beat the base, and that is not enough
    assert summary["verdict"] == "worse" and "shuffled answers" in summary["sentence"]


def test_without_the_control_nothing_is_shown(world: World, tmp_path: Path) -> None:
    summary = run(world, tmp_path, control=None)
    assert summary["verdict"] == "not shown to be better" and list(summary["missing"]) == [
        "shuffled"
    ]
    assert set(summary["loss"]) == {"base", "chat", "tuned"}


def test_a_distilled_tune_must_beat_the_one_without_its_teacher(
    world: World, tmp_path: Path
) -> None:
    won = run(world, tmp_path / "won", control=None, sft=world.control)
    assert won["verdict"] == "better" and not won["missing"]
    assert set(won["loss"]) == {"base", "chat", "tuned", "sft"}
    lost = run(world, tmp_path / "lost", model=world.control, control=None, sft=world.tuned)
    assert lost["verdict"] == "worse" and "without the teacher" in lost["sentence"]


def test_a_base_without_chat_template_is_said(world: World, tmp_path: Path) -> None:
    plain = tmp_path / "base"
    shutil.copytree(world.base, plain)
    (plain / "chat_template.jinja").unlink()
    bench = world.bench(tmp_path / "step")
    bench.tables["base"] = BaseTable(model=plain)  # type: ignore[index]
    summary = STAGE.run(EvaluateConfig(samples=0), bench).summary
    assert summary["verdict"] == "better" and summary["missing"] == {
        "chat": "its tokenizer has none"
    }


def test_an_empty_adapter_fails(world: World, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    checkpoint = Checkpoint(str(world.base))
    model = get_peft_model(
        load_model(checkpoint, "float32"), LoraConfig(r=2, target_modules="all-linear")
    )
    model.save_pretrained(tmp_path / "model")
    save_template(tmp_path / "model", Encoder(load_tokenizer(checkpoint), TEMPLATES["alpaca"]))
    with pytest.raises(UserError, match="exactly the base's logits") as caught:
        run(world, tmp_path / "step", model=tmp_path / "model")
    assert "learning_rate" in caught.value.cure


def test_a_diverged_training_is_said_to_be_one(world: World, tmp_path: Path) -> None:
    import torch

    model = load_model(Checkpoint(str(world.tuned)), "float32")
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    model.save_pretrained(tmp_path / "model")
    save_template(
        tmp_path / "model", saved_encoder(load_tokenizer(Checkpoint(str(world.tuned))), world.tuned)
    )
    with pytest.raises(UserError, match="the training diverged - lower train.learning_rate"):
        run(world, tmp_path / "step", model=tmp_path / "model")


def test_a_stopped_run_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    whole = run(world, tmp_path / "whole")
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) == 2  # before the second model

    with pytest.raises(Stopped):
        STAGE.run(EvaluateConfig(max_new_tokens=10), world.bench(tmp_path / "step", stopping))
    note = tmp_path / "step" / ".scratch" / "base.json"
    before = note.stat().st_mtime_ns
    bench = world.bench(tmp_path / "step")
    assert STAGE.run(EvaluateConfig(max_new_tokens=10), bench).summary == whole
    said = bench.progress
    assert isinstance(said, Said) and note.stat().st_mtime_ns == before
    assert (said.done_before, said.total, said.counts[-1]) == (
        36,
        72,
        72,
    ) and said.counts == sorted(said.counts)


def test_too_long_for_one_prompt_is_left_out_for_all(world: World) -> None:
    tokenizer = load_tokenizer(Checkpoint(str(world.tuned)))
    ours, chat = (
        saved_encoder(tokenizer, world.tuned),
        Encoder(load_tokenizer(Checkpoint(str(world.base))), TEMPLATES["chat"]),
    )
    examples = rows(0, 4)  # outputs of 7, 7, 4 and 2 bytes
    limit = len(ours.prompts(examples[:1])[0]) + 6
    found = encode_alike(examples, {"ours": ours, "chat": chat}, limit)
    assert [example.output for example in found.examples] == ["fish", "no"] and len(
        found.left_out
    ) == 2
    for (mine,), (theirs,) in zip(found.encoded["ours"], found.encoded["chat"], strict=True):
        assert mine.ids != theirs.ids
        assert [i for i, on in zip(mine.ids, mine.mask, strict=True) if on] == [
            i for i, on in zip(theirs.ids, theirs.mask, strict=True) if on
        ]
    with pytest.raises(UserError, match="none of the 4"):
        encode_alike(examples, {"ours": ours}, 20)


def test_answers_do_not_depend_on_their_neighbours(world: World) -> None:
    model, tokenizer = load_for_scoring(Checkpoint(str(world.base)), world.tuned)
    prompts = saved_encoder(tokenizer, world.tuned).prompts(rows(97, 5))
    prompts[2] = prompts[2][20:]
    assert answers(model, tokenizer, prompts, 9) == [
        answers(model, tokenizer, [p], 9)[0] for p in prompts
    ]


def test_the_rehearsal_is_small_and_the_estimate_needs_no_model(world: World) -> None:
    small = EvaluateConfig(rows=500).rehearsed()
    assert (small.rows, small.samples, small.max_new_tokens) == (8, 1, 8)
    assert small.max_length == 4 * EvaluateConfig().max_length  # bytes, about four to a token
    assert "batch_tokens" not in EvaluateConfig().identity()
    assert (
        STAGE.estimate(
            EvaluateConfig(), {"base": BaseTable(model="smollm2-135m-instruct")}, EstimateInputs()
        ).minutes.p50
        > 0.1
    )
