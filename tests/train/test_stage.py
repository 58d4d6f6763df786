"""The stage: two tunes of equal steps, a model folder that can be used, and a stop that costs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import read_json, read_jsonl, tree_digest
from alpaca_pipe.models.loading import load_for_scoring, load_tokenizer
from alpaca_pipe.models.saved_template import saved_encoder
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.train import packages
from alpaca_pipe.train.adapter_config import Lora
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.row_weights import weights_of
from alpaca_pipe.train.show_mask import print_mask
from alpaca_pipe.train.stage import estimate, run
from alpaca_pipe.weights.base import BaseTable, Checkpoint

CONFIG = TrainConfig(
    max_length=700, max_steps=3, per_device_train_batch_size=4, learning_rate=1e-2, lora=Lora(r=2)
)


def test_tuned_and_control(bench: Callable[..., StageContext], tiny: Path) -> None:
    here = bench("lora")
    summary = run(CONFIG, here).summary
    assert {key: summary[key] for key in ("method", "rows", "dropped", "steps")} == {
        "method": "lora",
        "rows": 10,
        "dropped": 1,
        "steps": 3,
    }
    dropped = list(read_jsonl(here.folder / "dropped.jsonl"))
    assert dropped[0]["rule"] == "max_length" and "at most 700 fit" in dropped[0]["reason"]
    log = list(read_jsonl(here.folder / "loss.jsonl"))
    assert [(row["which"], row["step"]) for row in log] == [
        (w, n) for w in ("tuned", "control") for n in (1, 2, 3)
    ]
    assert here.progress.total == 6 and here.progress.counts == [1, 2, 3, 4, 5, 6]  # type: ignore[attr-defined]
    models = [
        load_for_scoring(Checkpoint(str(tiny)), folder)[0]
        for folder in (None, here.folder / "model", here.folder / "control")
    ]
    ids = torch.tensor([[5, 6, 7]])
    base, tuned, control = (model(ids).logits for model in models)
    assert not torch.allclose(base, tuned) and not torch.allclose(tuned, control)


def test_the_model_folder_knows_its_prompt_and_no_path_of_this_machine(
    bench: Callable[..., StageContext], tiny: Path
) -> None:
    here = bench("folder")
    run(CONFIG, here)
    model = here.folder / "model"
    tokenizer = load_tokenizer(Checkpoint(str(model)))
    encoder = saved_encoder(tokenizer, model)
    row = Example.of("Add", "1, 2", "3", Origin("seed"))
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "Add", "input": "1, 2"}])[
        "input_ids"
    ]
    assert asked == encoder.prompts([row])[0]
    assert tokenizer.decode(asked).endswith(
        "### Instruction:\nAdd\n\n### Input:\n1, 2\n\n### Response:\n"
    )
    texts = [
        file.read_text() for file in model.iterdir() if file.suffix in (".json", ".jinja", ".md")
    ]
    assert len(texts) >= 4 and not any(
        str(tiny.parent) in text or str(here.folder) in text for text in texts
    )
    assert (
        read_json(model / "adapter_config.json")["base_model_name_or_path"]
        == BaseTable(model=tiny).published
    )
    assert not {"is_local", "local_files_only"} & set(read_json(model / "tokenizer_config.json"))


def test_a_template_changed_by_hand_is_noticed(bench: Callable[..., StageContext]) -> None:
    here = bench("changed")
    run(CONFIG.model_copy(update={"control": "none"}), here)
    assert not (here.folder / "control").exists()
    model = here.folder / "model"
    jinja = model / "chat_template.jinja"
    jinja.write_text(jinja.read_text().replace("### Response:", "### Answer:"))
    with pytest.raises(UserError, match="not the one the model was trained with"):
        saved_encoder(load_tokenizer(Checkpoint(str(model))), model)


def test_stopped_in_the_control_and_run_again(bench: Callable[..., StageContext]) -> None:
    whole = bench("whole")
    run(CONFIG, whole)
    parts = bench("parts")
    counts: list[int] = parts.progress.counts  # type: ignore[attr-defined]
    with pytest.raises(Stopped):
        run(CONFIG, bench("parts", lambda: (parts.folder / "model").is_dir()))
    run(CONFIG, parts)
    assert counts == [5, 6] and parts.progress.before == 4  # type: ignore[attr-defined]
    for part in ("model", "control", "loss.jsonl", "dropped.jsonl"):
        assert tree_digest(whole.folder / part) == tree_digest(parts.folder / part)


def test_full_leaves_a_whole_model(bench: Callable[..., StageContext], tiny: Path) -> None:
    here = bench("full")
    run(CONFIG.model_copy(update={"method": "full", "control": "none"}), here)
    model, _ = load_for_scoring(Checkpoint("/nowhere"), here.folder / "model")
    before, _ = load_for_scoring(Checkpoint(str(tiny)))
    moved = [
        not torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True)
    ]
    assert all(moved)


def test_qlora_is_scored_on_the_base_that_it_was_trained_beside(
    bench: Callable[..., StageContext], tiny: Path
) -> None:
    """The rounded one: with the adapter taken away it differs from the base as published."""
    pytest.importorskip("bitsandbytes")
    here = bench("qlora")
    run(CONFIG.model_copy(update={"method": "qlora", "control": "none"}), here)
    model, _ = load_for_scoring(Checkpoint(str(tiny)), here.folder / "model")
    plain, _ = load_for_scoring(Checkpoint(str(tiny)))
    ids = torch.tensor([[5, 6, 7]])
    with model.disable_adapter():  # type: ignore[operator]
        assert not torch.allclose(model(ids).logits, plain(ids).logits, atol=1e-4)


def test_without_bitsandbytes_it_says_so_before_anything_is_loaded(
    bench: Callable[..., StageContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    for change in ({"method": "qlora"}, {"optim": "paged_adamw_8bit"}):
        with pytest.raises(UserError, match="needs bitsandbytes"):
            run(CONFIG.model_copy(update=change), bench("none"))


def graded(grades: list[float | None]) -> list[Example]:
    origins = [
        Origin("imported", details={} if grade is None else {"grade": grade}) for grade in grades
    ]
    return [Example.of(f"Say {n}", "", "yes", origin) for n, origin in enumerate(origins)]


def test_a_row_weighs_by_its_grade() -> None:
    said: list[str] = []
    assert weights_of(graded([5, 3, 4, 0]), said.append) == pytest.approx([5 / 3, 1, 4 / 3, 0])
    assert said == ["1 of 4 rows have grade 0, and weigh nothing"]
    assert weights_of(graded([5, None]), said.append) == [1, 1]
    assert "1 of 2 rows have no grade" in said[-1]
    for none in ([], [None, None], [0]):
        with pytest.raises(UserError, match="no row has a grade above 0"):
            weights_of(graded(none), said.append)


@pytest.mark.parametrize(("processes", "said"), [(4, False), (1, True)])
def test_gpus_that_are_billed_and_not_used_are_said(processes: int, said: bool) -> None:
    tables = {"gpu": SimpleNamespace(count=4), "base": BaseTable(model="tiny")}
    config = CONFIG.model_copy(update={"processes": processes})
    with patch(
        "alpaca_pipe.train.stage.machine_of",
        lambda tables: SimpleNamespace(gpu=None, says="4 x B9", per_hour=0),
    ):
        notes = estimate(config, tables, EstimateInputs()).notes
    assert any("4 GPUs are billed" in note for note in notes) == said


def test_keys_that_came_later_leave_an_old_step_what_it_was() -> None:
    """As the build of 2026-11-29 knew it: these keys, and no others, while the new ones are at their defaults."""
    known = CONFIG.identity()
    assert set(known) == {
        "method",
        "template",
        "max_length",
        "learning_rate",
        "num_train_epochs",
        "max_steps",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "lr_scheduler_type",
        "warmup_steps",
        "weight_decay",
        "lora",
        "control",
    }
    assert set(known["lora"]) == {"r", "alpha", "dropout", "target_modules"}
    changed = CONFIG.model_copy(update={"optim": "sgd", "lora": Lora(use_dora=True)})
    assert changed.identity()["optim"] == "sgd" and changed.identity()["lora"]["use_dora"] is True


def test_full_in_bfloat16_is_refused(bench: Callable[..., StageContext], tiny: Path) -> None:
    here = bench("bf16")
    here.tables["base"] = BaseTable(model=tiny, dtype="bfloat16")  # type: ignore[index]
    full = CONFIG.model_copy(update={"method": "full"})
    with pytest.raises(UserError, match="do not move"):
        run(full, here)
    with pytest.raises(UserError, match="do not move"):  # and before anything is paid
        estimate(full, here.tables, EstimateInputs())
    assert (
        BaseTable(model=tiny, dtype="bfloat16").rehearsed().dtype == "bfloat16"
    )  # so a rehearsal refuses it too


def test_a_cut_last_line_of_the_log_does_not_block_the_resume(
    bench: Callable[..., StageContext],
) -> None:
    whole, parts = bench("whole"), bench("parts")
    run(CONFIG, whole)
    with pytest.raises(Stopped):
        run(CONFIG, bench("parts", lambda: True))
    with (parts.folder / "loss.jsonl").open("a") as log:
        log.write('{"which": "tuned", "st')  # as a kill or a power cut leaves it
    run(CONFIG, parts)
    assert (parts.folder / "loss.jsonl").read_bytes() == (whole.folder / "loss.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            ("q_proj", "v_porj"),
            "no linear layer 'v_porj' - did you mean 'v_proj'?",
        ),  # peft would tune q_proj alone
        (("input_layernorm",), "no linear layer 'input_layernorm'"),
    ],
)
def test_a_target_that_is_no_layer(
    bench: Callable[..., StageContext], names: tuple[str, ...], says: str
) -> None:
    with pytest.raises(
        UserError, match=f"train.lora.target_modules: the base has {says}".replace("?", r"\?")
    ):
        run(CONFIG.model_copy(update={"lora": Lora(r=2, target_modules=names)}), bench("typo"))


def test_without_torch_the_plan_says_so_and_the_run_too(
    bench: Callable[..., StageContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = bench("bare")
    for door in ("stage", "run"):
        monkeypatch.setattr(f"alpaca_pipe.train.{door}.find_spec", lambda name: None)
    assert estimate(CONFIG, here.tables, EstimateInputs()).notes == (
        "it needs the extra 'train', which is not installed",
    )
    with pytest.raises(UserError, match=r"pip install 'alpaca-pipe\[train\]'"):
        run(CONFIG, here)


def test_a_branch_of_the_hub_is_not_pinned(
    bench: Callable[..., StageContext], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    branch = BaseTable(model="org/llama-1b")
    assert estimate(CONFIG, {"base": branch}, EstimateInputs()).notes == (
        "hub revision 'main' is not pinned: write base.revision: the commit, 40 hex digits",
    )
    note = tmp_path / "models--org--llama-1b" / "refs" / "main"
    note.parent.mkdir(parents=True)
    note.write_text("0123456789" * 4)
    assert branch.commit() == "0123456789" * 4
    (note_of,) = estimate(CONFIG, {"base": branch}, EstimateInputs()).notes
    assert note_of.endswith(f"write base.revision: {'0123456789' * 4}")
    pinned = BaseTable(model="org/llama-1b", revision="a" * 40)
    assert (
        pinned.commit() == "a" * 40
        and not estimate(CONFIG, {"base": pinned}, EstimateInputs()).notes
    )
    assert BaseTable(model="smollm2-135m-instruct").commit() is None
    here = bench("hub")
    here.tables["base"] = branch  # type: ignore[index]
    monkeypatch.setattr("alpaca_pipe.train.run.resolve", lambda *given: Checkpoint(str(tiny)))
    once = CONFIG.model_copy(update={"control": "none", "max_steps": 1})
    assert run(once, here).summary["base_commit"] == "0123456789" * 4
    assert "base_commit" not in run(once, bench("folder")).summary


def test_nothing_fits(bench: Callable[..., StageContext]) -> None:
    with pytest.raises(UserError, match="0 of 11 rows fit into 64 tokens"):
        run(CONFIG.model_copy(update={"max_length": 64}), bench("short"))


def test_names_are_those_of_training_arguments() -> None:
    from transformers import TrainingArguments

    own = {"method", "template", "max_length", "lora", "control", "row_weights", "processes"}
    own |= {"source", "distill"}  # the key `from`, as curate has it
    own |= {"eval_every_usd", "max_eval_samples"}  # the second as in transformers' examples
    own |= {"early_stopping_patience", "early_stopping_threshold"}  # its EarlyStoppingCallback
    own |= {
        "fp8",
        "hosted",
        "loss",
        "prompt_loss_weight",
        "objective",
        "distill",
    }  # TRL's loss_type, and OpenAI's key
    arguments = set(TrainingArguments.__dataclass_fields__)
    assert set(TrainConfig.model_fields) - own <= arguments
    assert not set(TrainConfig.renamed) & set(TrainConfig.model_fields)
    assert all(
        name.partition(".")[0].rstrip(":") in {*TrainConfig.model_fields, "evaluate"}
        for name in TrainConfig.renamed.values()
    )


def test_each_argument_of_transformers_and_trl_is_a_key_or_says_why_not() -> None:
    from transformers import TrainingArguments
    from trl import SFTConfig

    known = {*TrainConfig.model_fields, *TrainConfig.renamed, *TrainConfig.also}
    arguments = {*TrainingArguments.__dataclass_fields__, *SFTConfig.__dataclass_fields__}
    assert arguments - known <= set(TrainConfig.absent)
    assert not known & set(TrainConfig.absent)
    assert set(TrainConfig.absent) <= arguments


def test_estimate_follows_rows_and_control(tiny: Path) -> None:
    base = BaseTable(model="smollm2-135m-instruct")
    one, two = (
        estimate(
            TrainConfig(control=control),
            {"base": base, "generate": SimpleNamespace(count=80)},
            EstimateInputs(),
        )
        for control in ("none", "shuffled")
    )
    assert (
        two.minutes.p50 == pytest.approx(2 * one.minutes.p50)
        and "30 steps of 8 rows, twice" in two.says
    )
    unknown = estimate(TrainConfig(), {"base": BaseTable(model="org/name")}, EstimateInputs())
    assert unknown.minutes.p90 == 0 and "not known" in unknown.says


def test_show_mask(bench: Callable[..., StageContext], capsys: pytest.CaptureFixture[str]) -> None:
    here = bench("mask")
    print_mask({"train": CONFIG, **here.tables}, here.inputs["curate/train.jsonl"], 1)
    said = capsys.readouterr().out
    assert "### Response:\n⟦it1 it1 </s>\n" in said and "9 learned" in said
    with pytest.raises(UserError, match="rows 0 to 10"):
        print_mask({"train": CONFIG, **here.tables}, here.inputs["curate/train.jsonl"], 11)
    with pytest.raises(UserError, match="has no 'train:'"):
        print_mask(here.tables, here.inputs["curate/train.jsonl"], 1)


def test_a_rehearsal_is_a_few_steps() -> None:
    small = TrainConfig(
        num_train_epochs=5, per_device_train_batch_size=64, gradient_accumulation_steps=16
    ).rehearsed()
    assert small.hyper(0).steps(10_000) == 4 and small.per_device_train_batch_size == 4
    assert json.dumps(small.identity())  # plain JSON
