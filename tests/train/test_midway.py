"""Evaluation on the way: the same loss as evaluate's, not a bit of the training changed, the best weights kept and said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin, numbered
from alpaca_pipe.core.files import read_json, read_jsonl, write_jsonl
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.evaluate.config import CHOSEN_ON, EvaluateConfig
from alpaca_pipe.evaluate.run import _examples
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.models.loading import load_for_scoring
from alpaca_pipe.models.loss_mask import Encoded, Encoder
from alpaca_pipe.models.scoring import response_losses
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.plan import identify
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.train import eval_watch as eval_module
from alpaca_pipe.train.config import HELD_OUT, ROWS, TrainConfig
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.midway import Midway, gained, some_of
from alpaca_pipe.train.midway_cost import rows_read
from alpaca_pipe.train.processes import perform_together
from alpaca_pipe.train.stage import STAGE, estimate, run
from alpaca_pipe.weights.base import BaseTable, Checkpoint
from alpaca_pipe.weights.tiny import byte_tokenizer
from tests.train.conftest import HYPER, Said, examples, with_
from tests.train.test_processes import job
from tests.train.test_sft import FULL, tuned
from tests.train.test_stage import CONFIG

STEADY = with_(HYPER, lr_scheduler_type="constant", warmup_steps=0.0)


def scored(rows: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(row["step"], row["eval_loss"]) for row in rows]


def midway(rows: list[Encoded], every: int = 2, **more: Any) -> Midway:
    return Midway([(row,) for row in rows], every, **more)


def total(model: Any, rows: list[Encoded]) -> float:
    found = response_losses(model.eval(), [(row,) for row in rows])
    return sum(one.nats for one in found) / sum(one.tokens for one in found)


@pytest.mark.parametrize("hyper", [HYPER, FULL], ids=["lora with dropout", "full"])
def test_no_bit_of_the_training_changes(
    hyper: Hyperparameters, tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    plain = tuned(tiny, encoded[:16], hyper, tmp_path / "plain")
    seen = tuned(tiny, encoded[:16], hyper, tmp_path / "seen", midway=midway(encoded[16:], 1))
    assert plain and seen
    assert all(torch.equal(plain[name], seen[name]) for name in plain)
    logs = [(tmp_path / name / "loss.jsonl").read_bytes() for name in ("plain", "seen")]
    assert logs[0] == logs[1]
    assert [row["step"] for row in read_jsonl(tmp_path / "seen" / "eval.jsonl")] == [1, 2, 3, 4]


def test_the_loss_is_that_of_evaluate(bench: Callable[..., StageContext], tiny: Path) -> None:
    here = with_held_out(bench("here"))
    run(CONFIG.model_copy(update={"eval_strategy": "steps", "eval_steps": 2.0}), here)
    rows = list(read_jsonl(here.folder / "eval.jsonl"))
    assert [(row["which"], row["step"]) for row in rows] == [
        (which, step) for which in ("tuned", "control") for step in (2, 3)
    ]
    from alpaca_pipe.models.saved_template import saved_encoder

    for which, folder in (("tuned", "model"), ("control", "control")):
        model, tokenizer = load_for_scoring(Checkpoint(str(tiny)), here.folder / folder)
        encoder = saved_encoder(tokenizer, here.folder / folder)
        held_out = [Example.from_row(row) for row in read_jsonl(here.inputs[HELD_OUT])]
        found = response_losses(model, [row for row in encoder.encode(held_out, 700)])  # type: ignore[misc]
        last = [row for row in rows if row["which"] == which][-1]
        nats = sum(one.nats for one in found) / sum(one.tokens for one in found)
        assert last["eval_loss"] == pytest.approx(nats, rel=1e-6) and last["rows"] == 6


def with_held_out(context: StageContext, answer: str = "") -> StageContext:
    """Six rows; answer: theirs, in place of one like those that are trained on."""
    file, rows = context.folder.parent / "held_out.jsonl", examples(6)
    if answer:
        others = (Example.of(row.instruction, "", answer, Origin("seed")) for row in rows)
        rows = list(numbered(others))
    write_jsonl(file, (row.to_row() for row in rows))
    return replace(context, inputs={**context.inputs, HELD_OUT: file}, per_hour=3_600_000_000_000)


def test_the_best_weights_are_the_ones_that_are_kept(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """On answers of letters that no row has, it gets worse: bit for bit what a tune of so few steps leaves."""
    wild = with_(STEADY, lora={**(HYPER.lora or {}), "lora_dropout": 0.0})
    encoder = Encoder(byte_tokenizer(), TEMPLATES["alpaca"])
    strange = [Example.of("Say it", "", "ßøðæ" * 9, Origin("seed"))]
    held = [row[0] for row in encoder.encode(strange, 700) if isinstance(row, tuple)]
    kept = tuned(tiny, encoded[:16], wild, tmp_path / "kept", midway=midway(held, 1, best=True))
    rows = scored(list(read_jsonl(tmp_path / "kept" / "eval.jsonl")))
    best = min(rows, key=lambda row: row[1])
    assert best[0] < rows[-1][0] == 4, "it did not get worse: the test shows nothing"
    short = tuned(tiny, encoded[:16], with_(wild, max_steps=best[0]), tmp_path / "short")
    assert kept and short and all(torch.equal(kept[name], short[name]) for name in kept)


def test_early_stopping_ends_both_tunes_and_the_summary_says_so(
    bench: Callable[..., StageContext], tiny: Path
) -> None:
    here = with_held_out(bench("early"), "ßøðæ" * 9)
    config = CONFIG.model_copy(
        update={
            "max_steps": 12,
            "lr_scheduler_type": "constant",
            "warmup_steps": 0.0,
            "eval_strategy": "steps",
            "eval_steps": 1.0,
            "early_stopping_patience": 2,
        }
    )
    assert config.keeps_best
    summary = run(config, here).summary
    for which, folder in (("tuned", "model"), ("control", "control")):
        rows = [row for row in read_jsonl(here.folder / "eval.jsonl") if row["which"] == which]
        assert rows[-1]["waited"] == 2 and summary["ended_early"][which] == rows[-1]["step"] < 12
        best = min(rows, key=lambda row: row["eval_loss"])
        note = read_json(here.folder / folder / "best_checkpoint.json")
        assert note == {"step": best["step"], "eval_loss": best["eval_loss"]}
        assert summary["kept"][which] == note
    assert summary["evaluated"]["rows"] == 3, "half of them are left for evaluate"
    ids = [
        {row["id"] for row in read_jsonl(one)}
        for one in (here.folder / "chosen_on.jsonl", here.inputs[HELD_OUT])
    ]
    assert ids[0] < ids[1]
    said: Said = here.progress  # type: ignore[assignment]
    assert any("the weights of step" in one for one in said.sentences)
    assert any("evaluate leaves them out" in one for one in said.sentences)


def test_stopped_and_resumed_it_evaluates_as_if_it_had_not_been(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    hyper = with_(STEADY, learning_rate=0.1, num_train_epochs=3.0)
    how = midway(encoded[16:], 2, best=True, patience=4)
    whole = tuned(tiny, encoded[:16], hyper, tmp_path / "whole", midway=how)
    seen: list[int] = []
    for stop_at in (3, 5):
        assert (
            tuned(
                tiny,
                encoded[:16],
                hyper,
                tmp_path / "parts",
                at=lambda step, loss: seen.append(step),
                stopping=lambda stop_at=stop_at: seen[-1:] >= [stop_at],
                midway=how,
            )
            is None
        )
    resumed = tuned(tiny, encoded[:16], hyper, tmp_path / "parts", midway=how)
    assert whole and resumed and all(torch.equal(whole[name], resumed[name]) for name in whole)
    logs = [(tmp_path / name / "eval.jsonl").read_bytes() for name in ("whole", "parts")]
    assert logs[0] == logs[1] and logs[0]


def test_two_processes_score_as_one_does(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    plain = with_(HYPER, lora={**(HYPER.lora or {}), "lora_dropout": 0.0})
    how = midway(encoded[17:], 2, best=True)
    tuned(tiny, encoded[:16], plain, tmp_path / "one", midway=how)
    two = with_(plain, per_device_train_batch_size=2, processes=2)
    heard: list[Mapping[str, Any]] = []
    both = replace(job(tiny, encoded[:16], two, tmp_path / "two"), midway=how)
    assert perform_together(both, lambda: False, lambda *_: None, heard.append)
    one, other = (
        scored(list(read_jsonl(tmp_path / name / "eval.jsonl"))) for name in ("one", "two")
    )
    assert [step for step, _ in one] == [step for step, _ in other] == [2, 4]
    assert [loss for _, loss in other] == pytest.approx([loss for _, loss in one], rel=1e-5)
    assert [word["evaluated"]["step"] for word in heard] == [2, 4]
    assert (tmp_path / "two" / "model" / "best_checkpoint.json").exists()


def test_dollars_become_steps_once_and_a_resume_keeps_to_them(
    tiny: Path, encoded: list[Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$1 a second, steps of half a second, $2: every four steps. The clock is ours."""
    now = [0.0]

    def clock() -> float:
        now[0] += 0.5
        return now[0]

    monkeypatch.setattr(eval_module, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(eval_module, "CALIBRATED_OVER", 3)
    how = Midway([(row,) for row in encoded[16:]], None, 2_000_000_000, 1e9)
    heard: list[Mapping[str, Any]] = []
    hyper, seen = with_(STEADY, num_train_epochs=3.0), list[int]()
    more = {"midway": how, "told": heard.append, "at": lambda step, loss: seen.append(step)}
    assert (
        tuned(tiny, encoded[:16], hyper, tmp_path, stopping=lambda: seen[-1:] >= [5], **more)  # type: ignore[arg-type]
        is None
    )
    assert "$2 buys 4 steps" in heard[0]["say"]
    now[0] = 1e6
    assert tuned(tiny, encoded[:16], hyper, tmp_path, **more)  # type: ignore[arg-type]
    assert [row["step"] for row in read_jsonl(tmp_path / "eval.jsonl")] == [4, 8, 12]
    assert len([word for word in heard if "say" in word]) == 1


def test_steps_that_dollars_buy() -> None:
    how = Midway([], None, 250_000_000, 3.6e9 / 3600)  # $0.25 at $3.60 an hour
    assert how.steps_for(2.0) == 125 and how.steps_for(1e6) == 1


@pytest.mark.parametrize(
    ("loss", "best", "threshold", "answer"),
    [(1.0, None, 0.5, True), (0.9, 1.0, 0.0, True), (1.0, 1.0, 0.0, False), (0.9, 1.0, 0.2, False)],
)
def test_a_gain_is_what_transformers_calls_one(
    loss: float, best: float | None, threshold: float, answer: bool
) -> None:
    from transformers import EarlyStoppingCallback, TrainerState, TrainingArguments

    theirs = EarlyStoppingCallback(1, threshold)
    state = TrainerState(best_metric=best)
    args = TrainingArguments(output_dir="unused", metric_for_best_model="loss")
    args.greater_is_better = False
    theirs.check_metric_value(args, state, None, loss)
    assert gained(loss, best, threshold) is answer is (theirs.early_stopping_patience_counter == 0)


def test_the_rows_are_the_same_in_any_order() -> None:
    rows = examples(20)
    taken = [row.id for row in some_of(rows, 5)]
    assert len(taken) == 5 and sorted(taken) == sorted(row.id for row in some_of(rows[::-1], 5))


def test_evaluate_judges_by_other_rows_than_those_that_chose(
    bench: Callable[..., StageContext],
) -> None:
    here = with_held_out(bench("judged"))
    rows = examples(6)
    write_jsonl(here.folder / "chosen.jsonl", ({"id": row.id} for row in rows[:2]))
    inputs = {**here.inputs, CHOSEN_ON: here.folder / "chosen.jsonl"}
    found = _examples(EvaluateConfig(rows=3), replace(here, inputs=inputs))
    assert [row.id for row in found] == [row.id for row in rows[2:5]]
    write_jsonl(here.folder / "chosen.jsonl", ({"id": row.id} for row in rows))
    with pytest.raises(UserError, match="every held-out row chose the checkpoint"):
        _examples(EvaluateConfig(), replace(here, inputs=inputs))


def test_the_held_out_rows_enter_the_identity_only_where_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("base: {model: tiny}\ncurate: {from: r.yaml}\ntrain: {}\n")
    off, on = (
        load_recipe(str(tmp_path / "r.yaml"), CATALOG, overrides)
        for overrides in ((), ("train.eval_strategy=epoch",))
    )
    assert off.stages["train"].reads() == (ROWS,)
    assert on.stages["train"].reads() == (ROWS, HELD_OUT)
    assert "eval_strategy" not in identify(STAGE, off.stages["train"], off, {})["config"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"eval_strategy": "usd"}, "does not say how many dollars"),
        ({"early_stopping_patience": 2}, "nothing is evaluated on the way"),
        ({"load_best_model_at_end": True}, "nothing is evaluated on the way"),
        (
            {"load_best_model_at_end": False, "early_stopping_patience": 2},
            "nothing is evaluated on the way",
        ),
        ({"eval_strategy": "steps", "eval_steps": 2.5}, "write a whole one"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        TrainConfig(**keys)


def test_the_plan_counts_it_and_says_what_is_amiss() -> None:
    gpu = GpuTable(name="H200")
    tables = {
        "base": BaseTable(model="org/llama-7b"),
        "gpu": gpu,
        "curate": CurateConfig.model_construct(held_out=16),
        "evaluate": EvaluateConfig(),
    }
    plain = TrainConfig(max_steps=400)
    often = TrainConfig(
        max_steps=400, eval_strategy="steps", eval_steps=1, early_stopping_patience=9
    )
    one, other = (estimate(config, tables, EstimateInputs()) for config in (plain, often))
    assert other.minutes.p50 > one.minutes.p50 * 1.05
    assert any("8 of 16 held-out rows choose" in note for note in other.notes)
    assert rows_read(often, 16, 400, 100) == 400 * 8
    assert rows_read(TrainConfig(eval_strategy="epoch"), 16, 400, 100) == 4 * 16
    unused = TrainConfig(eval_steps=5, early_stopping_threshold=0.1)
    notes = estimate(unused, tables, EstimateInputs()).notes
    assert [
        note.split()[0] for note in notes if "is not used beside eval_strategy: no" in note
    ] == [
        "train.early_stopping_threshold",
        "train.eval_steps",
    ]
    dollars = TrainConfig(max_steps=400, eval_strategy="usd", eval_every_usd=1)  # type: ignore[arg-type]
    assert estimate(dollars, tables, EstimateInputs()).minutes.p50 > one.minutes.p50
    with pytest.raises(UserError, match="no dollar is ever reached"):
        estimate(dollars, tables | {"gpu": GpuTable(per_hour=0)}, EstimateInputs())  # type: ignore[arg-type]
    nobody = tables | {"curate": CurateConfig.model_construct(held_out=0)}
    with pytest.raises(UserError, match="none can be scored"):
        estimate(often, nobody, EstimateInputs())


def test_checkpoints_that_are_kept(tiny: Path, encoded: list[Encoded], tmp_path: Path) -> None:
    hyper = with_(HYPER, save_steps=1, save_total_limit=2)
    assert tuned(tiny, encoded, hyper, tmp_path)
    left = sorted(one.name for one in (tmp_path / "scratch").glob("checkpoint-*"))
    assert left == ["checkpoint-4", "checkpoint-5"]
    state = json.loads((tmp_path / "scratch" / left[0] / "trainer_state.json").read_text())
    assert state["global_step"] == 4


@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_the_lowest_is_kept_and_patience_runs_as_transformers_has_it(
    tmp_path: Path, threshold: float
) -> None:
    from transformers import EarlyStoppingCallback, TrainerState, TrainingArguments

    from alpaca_pipe.train.eval_watch import Evaluations

    ours = Evaluations(
        Midway([], 1, threshold=threshold),
        tmp_path,
        tmp_path / "eval.jsonl",
        "tuned",
        "sdpa",
        print,
    )
    theirs, state = EarlyStoppingCallback(9, threshold), TrainerState()
    args = TrainingArguments(output_dir="unused", metric_for_best_model="loss")
    args.greater_is_better = False
    for loss in (1.0, 0.97, 0.96, 0.99, 0.9):
        lowest = state.best_metric is None or loss < state.best_metric
        theirs.check_metric_value(args, state, None, loss)
        state.best_metric = loss if lowest else state.best_metric
        assert ours._weigh(loss) is lowest
        assert ours._waited == theirs.early_stopping_patience_counter
