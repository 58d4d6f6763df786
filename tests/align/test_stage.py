"""The stage: a model from preferences, its controls and figures; a stop that costs nothing; what cannot be aligned."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.align.config import AlignConfig, RewardTraining
from alpaca_pipe.align.preference_rows import asked, split
from alpaca_pipe.align.reward_model import load_reward_model, rewards
from alpaca_pipe.align.stage import estimate, run
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import read_jsonl, tree_digest, write_jsonl
from alpaca_pipe.models.loading import load_for_scoring
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.train.adapter_config import Lora
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.stage import run as train
from alpaca_pipe.weights.base import BaseTable, Checkpoint
from tests.align.conftest import preferences
from tests.command import command
from tests.train.conftest import examples

Bench = Callable[..., StageContext]
SMALL: dict[str, Any] = {
    "max_steps": 3,
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-2,
    "held_out": 3,
    "samples": 2,
    "max_completion_length": 5,
    "template": "alpaca",
    "lora": Lora(r=2),
}


def config(method: str, **more: Any) -> AlignConfig:
    own = {"num_generations": 2} if method in ("rloo", "grpo") else {}
    return AlignConfig(method=method, **{**SMALL, **own, **more})  # type: ignore[arg-type]


def tuned(bench: Bench, folder: Path, **how: Any) -> StageContext:
    """Of a small tune on eight rows, which is there to be aligned."""
    rows = folder / "train.jsonl"
    write_jsonl(rows, (row.to_row() for row in examples(8)))
    first = replace(bench("tuned"), inputs={"curate/train.jsonl": rows})
    train(TrainConfig(max_length=700, lora=Lora(r=2), control="none", **how), first)
    return first


def results(folder: Path) -> dict[str, str]:
    """What is sealed: everything but the scratch folder."""
    return {
        path.relative_to(folder).as_posix(): tree_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".scratch" not in path.parts
    }


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_model_its_controls_and_a_verdict(bench: Bench, tiny: Path, method: str) -> None:
    context = bench(method)
    said = run(config(method), context).summary
    for name in ("model", "control_sft", "control_shuffled"):
        model, _ = load_for_scoring(Checkpoint(str(tiny)), context.folder / name)
        assert model.training is False
    steps = list(read_jsonl(context.folder / "steps.jsonl"))
    assert [(row["which"], row["step"]) for row in steps] == [
        (which, step) for which in ("aligned", "sft", "shuffled") for step in (1, 2, 3)
    ]
    first = [row for row in steps if row["step"] == 1]  # nobody has moved from where it began yet
    assert [row["margin"] for row in first] == pytest.approx([0, 0, 0], abs=1e-5)
    if method == "dpo":
        assert [first[0]["loss"], first[2]["loss"]] == pytest.approx([math.log(2)] * 2, abs=1e-6)
    assert said["steps"] == 3
    assert said["verdict"] in ("better", "worse", "not shown")
    assert set(said["accuracy"]) == {"aligned", "sft", "shuffled"}
    assert set(said["length"]) == {"before", "aligned"}
    assert said["held_out"] == 3
    reference = list(read_jsonl(context.folder / "reference.jsonl"))
    assert len(reference) == (9 if method == "dpo" else 18)
    again = context.scratch / "sft_reference.jsonl"  # pairs are the same rows: asked once
    assert again.exists() == (method == "kto")


def test_a_reward_model_and_what_it_gives(bench: Bench) -> None:
    context = bench("reward")
    said = run(config("reward", max_steps=40, num_train_epochs=9.0), context).summary
    assert sorted(said["accuracy"]) == ["aligned", "shuffled"]
    assert (context.folder / "reward_model" / "adapter_model.safetensors").is_file()
    assert not (context.folder / "model").exists()
    losses = [row["loss"] for row in read_jsonl(context.folder / "steps.jsonl")]
    assert losses[39] < losses[0] / 2


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_answers_of_its_own(bench: Bench, method: str) -> None:
    context = bench(method)
    said = run(config(method), context).summary
    assert {"before", "aligned", "difference"} == set(said["reward"])
    assert 0 <= said["reward_accuracy"]["mean"] <= 1
    steps = [row for row in read_jsonl(context.folder / "steps.jsonl") if row["which"] == "aligned"]
    assert all("reward" in row and "length" in row for row in steps)
    again = bench(f"{method}2")
    given = config(method, reward_model=context.folder / "reward_model")
    assert run(given, again).summary["reward"]["before"] == said["reward"]["before"]


@pytest.mark.parametrize("use_peft", [True, False])
def test_a_reward_model_of_the_tuned_model(
    bench: Bench, tiny: Path, tmp_path: Path, use_peft: bool
) -> None:
    """What is scored is the tuned model's own last state: without a step, it is that state times the drawn head."""
    first = tuned(bench, tmp_path, max_steps=2, learning_rate=1e-2)
    context = bench("rewarded")
    context = replace(context, inputs={**context.inputs, "train/model": first.folder / "model"})
    still = config("reward", learning_rate=1e-30, control="none", use_peft=use_peft)
    run(still, context)
    made: Any = load_reward_model(context.folder / "reward_model", Checkpoint(str(tiny)), "float32")
    model: Any = load_for_scoring(Checkpoint(str(tiny)), first.folder / "model")[0]
    ids = [1, 5, 6, 7, 8, 2]
    hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, -1]
    bare = made.get_base_model() if use_peft else made
    assert rewards(made, [ids])[0] == pytest.approx(float(bare.score(hidden)[0]), abs=1e-4)


@pytest.mark.parametrize("use_peft", [True, False])
@pytest.mark.parametrize("tuned", ["lora", "full"])
def test_it_goes_on_from_the_tuned_model(
    bench: Bench, tiny: Path, tmp_path: Path, tuned: str, use_peft: bool
) -> None:
    """Whatever was tuned and whatever is trained now: at a rate of nothing, the same model comes out."""
    rows = tmp_path / "train.jsonl"
    write_jsonl(rows, (row.to_row() for row in examples(8)))
    first = replace(bench("tuned"), inputs={"curate/train.jsonl": rows})
    how = TrainConfig(
        method=tuned,  # type: ignore[arg-type]
        max_length=700,
        max_steps=2,
        learning_rate=1e-2,
        lora=Lora(r=2),
        control="none",
    )
    train(how, first)
    context = bench("aligned")
    context = replace(context, inputs={**context.inputs, "train/model": first.folder / "model"})
    still = config("dpo", learning_rate=1e-30, control="none", use_peft=use_peft)
    said = run(still, context).summary
    assert said["kl"]["answer"] == pytest.approx(0, abs=1e-3)
    prompt = torch.tensor([[1, 5, 6, 7, 8]])
    logits = [
        load_for_scoring(Checkpoint(str(tiny)), folder)[0](prompt).logits
        for folder in (first.folder / "model", context.folder / "model", None)
    ]
    assert torch.allclose(logits[0], logits[1], atol=1e-4)
    assert not torch.allclose(logits[0], logits[2], atol=1e-4)


@pytest.mark.parametrize("method", ["dpo", "kto", "reward", "rloo", "grpo"])
def test_resumed_is_uninterrupted(bench: Bench, method: str) -> None:
    """Stopped after each step of each model, and gone on: the same bytes."""
    wanted = bench(f"{method}-whole")
    run(config(method, save_steps=1), wanted)
    context = bench(f"{method}-stopped")
    asked_for = [0]

    def stopping() -> bool:
        asked_for[0] += 1
        return asked_for[0] % 3 == 0

    for _ in range(60):
        try:
            run(config(method, save_steps=1), replace(context, stopping=stopping))
            break
        except Stopped:
            continue
    else:
        raise AssertionError("it never came to its end")
    assert asked_for[0] > 5
    assert results(context.folder) == results(wanted.folder)


def test_rows_of_a_prompt_stay_on_one_side() -> None:
    rows = preferences(30)
    rows += [replace(row, id=f"{row.id}b") for row in rows[:10]]
    learned, held_out = split(rows, 7)
    assert not set(map(asked, learned)) & set(map(asked, held_out))
    assert 7 <= len(held_out) <= 8
    assert len(learned) + len(held_out) == len(rows)
    more = rows + preferences(31)[-1:]
    assert len({row.id for row in split(more, 7)[1]} - {row.id for row in held_out}) <= 2


BAD = {
    "no rejected answer": ({"prompt": "Q?", "chosen": "A"}, "has no rejected answer"),
    "empty rejected answer": (
        {"prompt": "Q?", "chosen": "A", "rejected": ""},
        "its rejected answer is empty",
    ),
    "empty chosen answer": (
        {"prompt": "Q?", "chosen": " ", "rejected": "B"},
        "its chosen answer is empty",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_prefers_nothing(bench: Bench, tmp_path: Path, name: str) -> None:
    row, sentence = BAD[name]
    good = [{"prompt": f"Q{n}?", "chosen": f"A{n}", "rejected": f"B{n} no"} for n in range(8)]
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, [*good, row])))
    with pytest.raises(UserError, match=f"own.jsonl:9: .*{sentence}"):
        run(config("dpo", **{"from": file}), bench("strict"))
    context = bench("lenient")
    said = run(config("dpo", **{"from": file}, keep_going=True, control="none"), context).summary
    assert said["left_out"] == 1
    assert sentence in (context.folder / "left_out.jsonl").read_text()


def test_equal_answers_are_left_out_and_said(bench: Bench, tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{n}?", "chosen": f"A{n}", "rejected": f"B{n} no"} for n in range(8)]
    rows.append({"prompt": "Q?", "chosen": "A", "rejected": "A"})
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    context = bench("equal")
    said = run(config("dpo", **{"from": file}, control="none"), context).summary
    assert (said["left_out"], said["rows"] + said["held_out"]) == (1, 8)
    assert any("the same" in one for one in context.progress.sentences)  # type: ignore[attr-defined]


def test_a_reward_model_without_a_head(bench: Bench, tiny: Path) -> None:
    given = config("rloo", reward_model=tiny)
    with pytest.raises(UserError, match="has no reward head"):
        run(given, bench("headless"))
    with pytest.raises(UserError, match="has no reward head"):
        estimate(given, {"base": BaseTable(model=tiny)}, EstimateInputs())


def test_nothing_to_learn_from(bench: Bench) -> None:
    context = bench("none")
    with pytest.raises(UserError, match="no preferences to learn from"):
        run(config("dpo"), replace(context, inputs={}))
    with pytest.raises(UserError, match="held out"):
        run(config("dpo", held_out=50), context)


def test_the_reference_of_rloo_is_the_tuned_model(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All weights are trained, from an adapter that is merged: at the first step nothing is away from where it began."""
    first = tuned(bench, tmp_path, max_steps=4, learning_rate=3e-2)
    context = bench("aligned")
    context = replace(context, inputs={**context.inputs, "train/model": first.folder / "model"})
    still = config("rloo", learning_rate=1e-30, use_peft=False, beta=0.5)
    run(still, context)
    steps = [row for row in read_jsonl(context.folder / "steps.jsonl") if row["which"] == "aligned"]
    assert steps and all(row["kl"] == pytest.approx(0, abs=1e-6) for row in steps)


@pytest.mark.parametrize("most", [None, 3])
def test_steps_are_whole_groups_of_prompts(bench: Bench, most: int | None) -> None:
    """TRL leaves out what fills no step: 9 prompts, 4 a step, are 2 steps an epoch, and 3 prompts are none."""
    how = config(
        "rloo",
        max_steps=most,
        per_device_train_batch_size=8,
        reward=RewardTraining(max_steps=1),
    )
    context = bench("groups")
    said = run(how, context).summary
    done = [row for row in read_jsonl(context.folder / "steps.jsonl") if row["which"] == "aligned"]
    assert len(done) == said["steps"] == (most or 2)
    with pytest.raises(UserError, match="a step answers 4 prompts, and there are 3"):
        run(how.model_copy(update={"held_out": 9}), bench("few"))


def test_a_prompt_that_is_too_long_is_not_answered(bench: Bench, tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{n}?", "chosen": f"A{n}", "rejected": f"B{n} no"} for n in range(8)]
    rows += [{"prompt": f"long{n} " * 900, "chosen": "A", "rejected": "B"} for n in range(4)]
    file = tmp_path / "long.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    how = config("rloo", **{"from": file}, max_length=400, samples=9, held_out=4)
    said = run(how, bench("long")).summary
    assert (said["rows"] + said["held_out"], said["left_out"]) == (8, 4)
    assert said["answers"] == 2 * said["prompts"] == 2 * said["held_out"]


@pytest.mark.parametrize(
    "wrong", [{"beta": 0.0}, {"method": "kto", "beta": 0.0}, {"method": "rloo", "samples": 0}]
)
def test_nothing_that_could_not_be_learned_or_measured(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="set "):
        AlignConfig.model_validate(wrong)


def test_a_key_that_the_method_does_not_read_is_said(tmp_path: Path) -> None:
    """It would change nothing, and nothing would say so."""
    from alpaca_pipe.align.config import READ_BY

    assert AlignConfig(method="kto", label_smoothing=0.1, beta=0.2).unused == ("label_smoothing",)
    assert AlignConfig(method="dpo", desirable_weight=2.0).unused == ("desirable_weight",)
    assert AlignConfig(method="grpo", num_generations=4).unused == ()
    assert set(READ_BY) <= set(AlignConfig.model_fields)


@pytest.mark.parametrize(
    ("how", "unused"),
    [
        (
            {"method": "reward", "samples": 3, "max_completion_length": 9},
            ["max_completion_length", "samples"],
        ),
        ({"method": "rloo", "control": "both"}, ["control"]),
        ({"method": "rloo", "control": "none"}, []),
        ({"method": "kto", "samples": 3, "control": "both"}, []),
        ({"method": "rloo", "reward_model": Path(), "reward": {"max_steps": 1}}, ["reward"]),
    ],
)
def test_more_keys_that_change_nothing(how: dict[str, Any], unused: list[str]) -> None:
    config = AlignConfig.model_validate(how)
    assert list(config.unused) == unused
    assert set(config.rehearsed().unused) <= set(unused)  # a rehearsal writes no key of its own


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "2+1?", "chosen": 3, "rejected": 4}, "'chosen' is 3, which is no text"),
        ({"prompt": "q?", "completion": "x"}, "no rejected answer and no label"),
    ],
)
def test_pairs_that_cannot_be_read_are_told_by_the_plan(
    tmp_path: Path, row: dict[str, Any], why: str
) -> None:
    """They were told after the tune."""
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n")
    recipe = "recipe_version: 1\nbase: {model: tiny}\ncurate: {from: rows.jsonl, held_out: 2}\ntrain: {max_steps: 1}\n"
    rows = [{"instruction": f"Say {n}.", "output": f"{n} it is."} for n in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    (tmp_path / "p.yaml").write_text(recipe + "align: {from: pairs.jsonl, held_out: 1}\n")
    done = command("plan", "p.yaml", cwd=tmp_path)
    assert done.code == 2 and why in " ".join((done.out + done.err).split())
