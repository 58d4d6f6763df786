"""Figures beside loss.jsonl: what a tracker was given is what it holds, and one that fails is said once and ends nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.train import packages, trackers
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.midway import Midway
from alpaca_pipe.train.stage import run
from alpaca_pipe.train.trackers import Tracking
from tests.house.test_layers import ROOT
from tests.train.conftest import HYPER, Said, with_
from tests.train.test_sft import tuned
from tests.train.test_stage import CONFIG


def curve(folder: Path, key: str = "loss", file: str = "loss.jsonl") -> list[tuple[int, float]]:
    return [(row["step"], row[key]) for row in read_jsonl(folder / file)]


def test_tensorboard_holds_each_step_once_also_after_a_stop(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    where = Tracking(("tensorboard",), "tea", "train-1/tuned", tmp_path, {}, 3_600_000_000_000)
    seen: list[int] = []
    more: dict[str, Any] = {
        "tracking": where,
        "midway": Midway([(row,) for row in encoded[16:]], 2),
        "at": lambda step, loss: seen.append(step),
    }
    assert (
        tuned(tiny, encoded[:16], HYPER, tmp_path, stopping=lambda: seen[-1:] >= [2], **more)
        is None
    )
    assert tuned(tiny, encoded[:16], HYPER, tmp_path, **more)
    found = EventAccumulator(str(tmp_path / "tensorboard" / "train-1" / "tuned"))
    found.Reload()

    def scalars(name: str) -> list[tuple[int, float]]:
        return [(one.step, one.value) for one in found.Scalars(name)]

    assert [step for step, _ in scalars("train/loss")] == [1, 2, 3, 4]
    for name, wanted in (
        ("train/loss", curve(tmp_path)),
        ("train/learning_rate", curve(tmp_path, "learning_rate")),
        ("train/num_input_tokens_seen", curve(tmp_path, "tokens")),
        ("eval/loss", curve(tmp_path, "eval_loss", "eval.jsonl")),
    ):
        assert [step for step, _ in scalars(name)] == [step for step, _ in wanted]
        assert [value for _, value in scalars(name)] == pytest.approx(
            [v for _, v in wanted], rel=1e-6
        )
    for name in ("train/grad_norm", "train/tokens_per_second", "train/dollars"):
        assert len(scalars(name)) == 4 and all(value > 0 for _, value in scalars(name))


TRACKED = """
import sys
from pathlib import Path
from trackio.sqlite_storage import SQLiteStorage
from tests.train.conftest import *
from tests.train.test_sft import tuned
from alpaca_pipe.train.trackers import Tracking

rows = [row for row, in Encoder(byte_tokenizer(), TEMPLATES["alpaca"]).encode(examples(16), 1000)]
where = Tracking(("trackio",), "tea", "train-1/tuned", Path(sys.argv[2]), {"r": 4})
tuned(Path(sys.argv[1]), rows, HYPER, Path(sys.argv[2]), tracking=where, told=print)
for row in SQLiteStorage.get_logs("tea", "train-1/tuned"):
    print(row["step"], repr(row["train/loss"]))
"""


def test_trackio_holds_each_step(tiny: Path, tmp_path: Path) -> None:
    """In a process of its own, for it finds its folder while it is imported. It prints nothing of its own between our lines."""
    pytest.importorskip("trackio")
    done = subprocess.run(
        [sys.executable, "-c", TRACKED, str(tiny), str(tmp_path)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TRACKIO_DIR": str(tmp_path / "trackio"),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert [tuple(map(float, line.split())) for line in done.stdout.splitlines()] == curve(tmp_path)


def test_one_that_fails_is_said_once_and_changes_nothing(
    tiny: Path, encoded: list[Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaks:
        def __init__(self, tracking: Tracking, step: int) -> None:
            self.calls = 0

        def log(self, step: int, figures: Mapping[str, float]) -> None:
            self.calls += 1
            if self.calls == 2:
                raise OSError("no space left\nand more")

        def close(self) -> None:
            raise AssertionError("a tracker that failed is not asked again")

    def never(tracking: Tracking, step: int) -> Any:
        raise RuntimeError

    monkeypatch.setitem(trackers.OPENERS, "tensorboard", Breaks)
    monkeypatch.setitem(trackers.OPENERS, "wandb", never)
    heard: list[Mapping[str, Any]] = []
    where = Tracking(("tensorboard", "wandb"), "tea", "run", tmp_path, {})
    plain = tuned(tiny, encoded[:16], HYPER, tmp_path / "plain")
    found = tuned(tiny, encoded[:16], HYPER, tmp_path / "seen", tracking=where, told=heard.append)
    assert [word["say"] for word in heard] == [
        "wandb failed (RuntimeError): the training continues without it",
        "tensorboard failed (no space left): the training continues without it",
    ]
    assert plain and found and all(torch.equal(plain[name], found[name]) for name in plain)
    assert curve(tmp_path / "plain") == curve(tmp_path / "seen")


def test_what_a_training_that_fails_has_logged_is_kept(
    tiny: Path, encoded: list[Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []

    class Closes:
        def __init__(self, tracking: Tracking, step: int) -> None:
            self.steps = 0

        def log(self, step: int, figures: Mapping[str, float]) -> None:
            self.steps = step

        def close(self) -> None:
            closed.append(self.steps)

    monkeypatch.setitem(trackers.OPENERS, "tensorboard", Closes)
    wild = with_(HYPER, lora=None, learning_rate=1e30, num_train_epochs=9.0)
    where = Tracking(("tensorboard",), "tea", "run", tmp_path, {})
    with pytest.raises(UserError, match="is not a number"):
        tuned(tiny, encoded[:16], wild, tmp_path, tracking=where)
    assert len(closed) == 1 and closed[0] >= 1


def test_the_stage_puts_it_into_the_recipes_own_folder(bench: Callable[..., StageContext]) -> None:
    """Not into the step, whose files are sealed: event files are named by host and time."""
    pytest.importorskip("tensorboard")
    here = bench("tracked")
    here = replace(here, own=here.folder.parent / "tea")
    config = CONFIG.model_copy(update={"report_to": "tensorboard", "control": "none"})
    assert config.identity() == CONFIG.model_copy(update={"control": "none"}).identity()
    run(config, here)
    files = list((here.folder.parent / "tea" / "tracking" / "tensorboard").rglob("events*"))
    assert len(files) == 1 and files[0].parent.parts[-2:] == ("tracked", "tuned")
    assert not list(here.folder.rglob("events*"))
    assert not [one for one in here.progress.sentences if "failed" in one]  # type: ignore[attr-defined]


@pytest.mark.slow
def test_wandb_is_offline_unless_it_is_told_otherwise(
    tiny: Path, encoded: list[Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    where = Tracking(("wandb",), "tea", "train-1/tuned", tmp_path, {"r": 4})
    heard: list[Mapping[str, Any]] = []
    assert tuned(tiny, encoded[:16], HYPER, tmp_path, tracking=where, told=heard.append)
    assert heard == [] and list((tmp_path / "wandb").rglob("offline-run-*/*.wandb"))


def test_what_is_not_installed_is_said_before_anything_is_loaded(
    bench: Callable[..., StageContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    config = TrainConfig(report_to=("none", "wandb"))
    assert config.trackers == ("wandb",)
    assert list(packages.missing_packages(config)) == ["wandb"]
    with pytest.raises(UserError, match="report_to: wandb needs wandb .the extra 'wandb'."):
        packages.check_packages(config)
    assert isinstance(bench("unused").progress, Said)
