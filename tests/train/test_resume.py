"""`train.resume_from_checkpoint`: from whichever kept checkpoint of a step, its result is the one of a tune that nothing
interrupted; another tune's checkpoint is refused, and nothing is lost by that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import read_json, tree_digest
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.train.adapter_config import Lora
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.stage import run
from tests.train.test_midway import with_held_out

CONFIG = TrainConfig(
    max_length=700,
    max_steps=5,
    per_device_train_batch_size=4,
    learning_rate=1e-2,
    save_steps=1,
    save_total_limit=10,
    lora=Lora(r=2, dropout=0.1),
)
RESULTS = ("model", "control", "loss.jsonl")


def at(start: Any, config: TrainConfig = CONFIG) -> TrainConfig:
    return config.model_copy(update={"resume_from_checkpoint": start})


def stopped(bench: Callable[..., StageContext], name: str, config: TrainConfig = CONFIG) -> Path:
    """The scratch folder of the tuned model, stopped after its fourth step, with checkpoints 1 to 4."""
    here = bench(name)
    done: list[int] = here.progress.counts  # type: ignore[attr-defined]
    with pytest.raises(Stopped):
        run(config, replace(here, stopping=lambda: len(done) >= 4))
    scratch = here.folder / ".scratch" / "tuned"
    assert kept(scratch) == [1, 2, 3, 4]
    return scratch


def kept(scratch: Path) -> list[int]:
    return sorted(int(one.name.partition("-")[2]) for one in scratch.glob("checkpoint-*"))


def said(here: StageContext) -> list[str]:
    found: list[str] = here.progress.sentences  # type: ignore[attr-defined]
    return found


def digests(here: StageContext) -> list[str]:
    return [tree_digest(here.folder / part) for part in RESULTS]


def elsewhere(here: StageContext, tmp_path: Path, name: str = "elsewhere") -> StageContext:
    """The same step in another workspace: its folder has the same name."""
    other = tmp_path / name / here.folder.name
    other.mkdir(parents=True)
    return replace(bench_of(here), folder=other)


def bench_of(here: StageContext) -> StageContext:
    return replace(here, progress=type(here.progress)(), stopping=lambda: False)


@pytest.mark.parametrize(
    ("start", "counts", "sentence"),
    [
        (True, [5], None),
        (
            "checkpoint-2",
            [3, 4, 5],
            "tuned: continues from step 2; removed: checkpoint-3, checkpoint-4",
        ),
        (
            False,
            [1, 2, 3, 4, 5],
            "tuned: from the beginning; removed: checkpoint-1, checkpoint-2, checkpoint-3, checkpoint-4",
        ),
    ],
)
def test_from_any_checkpoint_the_result_is_that_of_an_uninterrupted_tune(
    bench: Callable[..., StageContext], start: Any, counts: list[int], sentence: str | None
) -> None:
    """Weights, control and losses, byte for byte; dropout, order of rows and optimizer among it."""
    whole = bench("whole")
    run(CONFIG, whole)
    stopped(bench, "parts")
    parts = bench("parts")
    run(at(start), parts)
    assert parts.progress.counts[: len(counts)] == counts  # type: ignore[attr-defined]
    assert digests(parts) == digests(whole)
    assert [one for one in said(parts) if one.startswith("tuned: ")] == (
        [sentence] if sentence else []
    )


def test_a_folder_that_was_brought_from_another_machine(
    bench: Callable[..., StageContext], tmp_path: Path
) -> None:
    whole = bench("step")
    source = stopped(bench, "step")
    there = elsewhere(whole, tmp_path)
    shutil.copytree(source / "checkpoint-3", tmp_path / "saved" / "checkpoint-3")
    run(at(tmp_path / "saved" / "checkpoint-3"), there)
    assert there.progress.counts[:2] == [4, 5]  # type: ignore[attr-defined]
    assert (tmp_path / "saved" / "checkpoint-3" / "whole").exists()  # only read
    run(CONFIG, bench_of(whole))
    assert digests(there) == digests(whole)


def test_what_was_evaluated_on_the_way_comes_with_it(
    bench: Callable[..., StageContext], tmp_path: Path
) -> None:
    """Losses so far, and the best weights, which may be those of an earlier step than the checkpoint's."""
    config = CONFIG.model_copy(
        update={
            "control": "none",
            "eval_strategy": "steps",
            "eval_steps": 1.0,
            "load_best_model_at_end": True,
        }
    )
    here, whole = (with_held_out(bench(name), "ßøðæ" * 9) for name in ("step", "whole"))
    run(config, whole)
    done: list[int] = here.progress.counts  # type: ignore[attr-defined]
    with pytest.raises(Stopped):
        run(config, replace(here, stopping=lambda: max(done, default=0) >= 4))
    scratch = here.folder / ".scratch" / "tuned"
    assert kept(scratch)[-1] == 4
    there = elsewhere(here, tmp_path)
    run(at(scratch / "checkpoint-4", config), there)
    for part in ("model", "loss.jsonl", "eval.jsonl"):
        assert tree_digest(there.folder / part) == tree_digest(whole.folder / part)
    assert read_json(there.folder / "model" / "best_checkpoint.json")["step"] < 4


def test_another_tunes_checkpoint_is_refused_and_nothing_is_lost(
    bench: Callable[..., StageContext], tmp_path: Path
) -> None:
    other = stopped(bench, "other") / "checkpoint-3"
    scratch = stopped(bench, "mine")
    torn, old = tmp_path / "checkpoint-7", tmp_path / "checkpoint-8"
    shutil.copytree(scratch / "checkpoint-4", torn, ignore=shutil.ignore_patterns("whole"))
    shutil.copytree(scratch / "checkpoint-4", old)
    (old / "whole").write_text("")
    for start, sentence in (
        (other, "is of another tune .the tuned model of other., and this is the tuned model"),
        (torn, "is not a whole checkpoint of ours"),
        (old, "which one, it does not say"),
        (tmp_path, "is not a whole checkpoint of ours"),
        ("checkpoint-9", "no checkpoint-9 of the tuned model is kept - did you mean"),
    ):
        with pytest.raises(UserError, match=sentence):
            run(at(start), bench("mine"))
        assert kept(scratch) == [1, 2, 3, 4]


def test_where_none_is_kept_it_says_so(bench: Callable[..., StageContext]) -> None:
    with pytest.raises(UserError, match=r"none is: leave the key out"):
        run(at("checkpoint-2"), bench("fresh"))


def test_it_is_the_interrupted_tune_that_is_meant(bench: Callable[..., StageContext]) -> None:
    """The tuned model goes on from the second step; the control, which has no checkpoint yet, simply begins."""
    stopped(bench, "parts")
    parts = bench("parts")
    run(at("checkpoint-2"), parts)
    assert not [one for one in said(parts) if one.startswith("control: ")]
    assert (parts.folder / "control").is_dir()


def test_the_key_is_none_of_the_identity_and_reads_paths_from_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-4").mkdir()
    for text, found in (
        ("true", True),
        ("false", False),
        ('"checkpoint-4"', "checkpoint-4"),
        ('"./checkpoint-4"', tmp_path / "checkpoint-4"),
    ):
        read = TrainConfig.model_validate_json(
            f'{{"resume_from_checkpoint": {text}}}', context={"folder": tmp_path}
        )
        assert read.resume_from_checkpoint == found
        assert read.identity() == TrainConfig().identity()
        assert read.rehearsed().resume_from_checkpoint is True
    for text, sentence in (("7", "should be true, false"), ('"nowhere"', "no such folder: ")):
        with pytest.raises(ValidationError, match=sentence):
            TrainConfig.model_validate_json(
                f'{{"resume_from_checkpoint": {text}}}', context={"folder": tmp_path}
            )
