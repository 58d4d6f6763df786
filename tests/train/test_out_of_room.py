"""What runs out, or is not there, is a sentence; what was done before stays, and the next run goes on from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import read_jsonl, tree_digest
from alpaca_pipe.models import loading
from alpaca_pipe.models.out_of_room import room
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.stage import run

CONFIG = TrainConfig(
    method="full",
    max_length=700,
    max_steps=4,
    per_device_train_batch_size=4,
    control="none",
    learning_rate=1e-3,
)
Bench = Callable[..., StageContext]


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Stops a write where a full disk would, with the error of one."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_nothing_that_was_saved(bench: Bench) -> None:
    whole = bench("whole")
    run(CONFIG, whole)
    steps: list[int] = []
    here = bench("parts", stopping=lambda: bool(here.progress.counts))  # type: ignore[attr-defined]
    with pytest.raises(Stopped):
        run(CONFIG, here)
    steps = [row["step"] for row in read_jsonl(here.folder / "loss.jsonl")]
    again = replace(here, stopping=lambda: False)
    with (
        no_file_larger_than(100_000),
        pytest.raises(UserError, match="train: the disk does not take") as failed,
    ):
        run(CONFIG, again)
    assert "continues from the last checkpoint" in failed.value.cure
    assert not (here.folder / "model").exists() and 0 < len(steps) < 4
    run(CONFIG, again)
    assert (here.folder / "loss.jsonl").read_text() == (whole.folder / "loss.jsonl").read_text()
    assert tree_digest(here.folder / "model") == tree_digest(whole.folder / "model")


def test_a_full_disk_at_a_checkpoint(bench: Bench) -> None:
    here = bench("parts", stopping=lambda: True)
    with (
        no_file_larger_than(100_000),
        pytest.raises(UserError, match="train: the disk does not take"),
    ):
        run(CONFIG, here)
    with pytest.raises(Stopped):
        run(CONFIG, here)


def test_memory_that_runs_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's own error, for more than any machine has."""
    own = loading.load_model

    def greedy(*given: Any, **more: Any) -> Any:
        model = own(*given, **more)
        model.register_forward_pre_hook(lambda module, arguments: torch.empty(1 << 50))
        return model

    for place in ("alpaca_pipe.train.run.load_model", "alpaca_pipe.train.job.load_model"):
        monkeypatch.setattr(place, greedy, raising=False) if _exists(place) else None
    with pytest.raises(UserError, match="train: memory ran out") as failed:
        run(CONFIG, bench("hungry"))
    assert "train.per_device_train_batch_size" in failed.value.cure


def _exists(place: str) -> bool:
    from importlib.util import find_spec

    return find_spec(place.rpartition(".")[0]) is not None


def test_no_rows_and_rows_that_are_all_too_long(bench: Bench) -> None:
    here = bench("none")
    with pytest.raises(UserError, match="0 of 11 rows fit into 8 tokens"):
        run(CONFIG.model_copy(update={"max_length": 8}), here)
    file = here.folder / "empty.jsonl"
    file.touch()
    with pytest.raises(UserError, match="left no row to train on"):
        run(CONFIG, replace(here, inputs={"curate/train.jsonl": file}))


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    for error in (RuntimeError("size mismatch"), OSError(2, "no such file"), KeyError("x")):
        with pytest.raises(type(error)) as caught, room("train", tmp_path, "less"):
            raise error
        assert caught.value is error
