"""Several processes on one tune: the losses of one, a clean end when one of them dies, and a resume from there."""

from __future__ import annotations

import pickle
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.train import processes, worker
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.job import TuneJob, perform
from alpaca_pipe.train.micro_batches import Row
from alpaca_pipe.train.processes import check_processes, perform_together
from alpaca_pipe.train.stage import run
from alpaca_pipe.train.trainer import own_part
from alpaca_pipe.weights.base import Checkpoint
from tests.train.conftest import HYPER, with_
from tests.train.test_out_of_room import no_file_larger_than
from tests.train.test_stage import CONFIG

PLAIN = with_(HYPER, lora={**(HYPER.lora or {}), "lora_dropout": 0.0}, save_steps=1)
FULL = with_(PLAIN, lora=None, learning_rate=1e-3)
TWO = {"per_device_train_batch_size": 2, "processes": 2}


def job(tiny: Path, rows: list[Encoded], hyper: Hyperparameters, folder: Path) -> TuneJob:
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    method = "lora" if hyper.lora else "full"
    return TuneJob(
        "tuned",
        Checkpoint(str(tiny)),
        "float32",
        method,
        "org/base",
        rows,
        None,
        hyper,
        folder / "scratch",
        folder / "loss.jsonl",
        folder / "model",
    )


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_jsonl(folder / "loss.jsonl")]


@pytest.mark.parametrize(
    "hyper", [PLAIN, pytest.param(FULL, marks=pytest.mark.slow)], ids=["lora", "full"]
)
def test_two_processes_have_the_losses_of_one(
    hyper: Hyperparameters, tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """21 rows at 2 x 2 and at 4: the last step has one row, so one of the two processes has none."""
    rows, seen = encoded[:21], list[int]()
    assert perform(job(tiny, rows, hyper, tmp_path / "one"), lambda: False, lambda *_: None)
    both = job(tiny, rows, with_(hyper, **TWO), tmp_path / "two")
    assert perform_together(both, lambda: False, lambda step, loss: seen.append(step))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    tokens = [
        [row["tokens"] for row in read_jsonl(tmp_path / name / "loss.jsonl")]
        for name in ("one", "two")
    ]
    assert tokens[0] == tokens[1]


@pytest.mark.slow
def test_one_of_two_is_killed_and_both_go_on_from_the_last_checkpoint(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    hyper = with_(FULL, **TWO, num_train_epochs=4.0)
    whole, parts = (job(tiny, encoded, hyper, tmp_path / name) for name in ("whole", "parts"))
    assert perform_together(whole, lambda: False, lambda *_: None)

    def kill(step: int, loss: float) -> None:
        if step == 3:
            for child in psutil.Process().children():
                if child.environ().get("RANK") == "1":
                    child.send_signal(signal.SIGKILL)

    with pytest.raises(UserError, match="process 2 of 2 ended .killed by signal 9."):
        perform_together(parts, lambda: False, kill)
    assert not psutil.Process().children()
    seen: list[int] = []
    assert perform_together(parts, lambda: False, lambda step, loss: seen.append(step))
    assert seen[0] >= 3, "it began again"
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


@pytest.mark.slow
def test_a_stop_is_saved_by_all(tiny: Path, encoded: list[Encoded], tmp_path: Path) -> None:
    seen: list[int] = []
    both = job(tiny, encoded, with_(FULL, **TWO, save_steps=None), tmp_path)
    note = lambda step, loss: seen.append(step)
    assert not perform_together(both, lambda: len(seen) >= 2, note)
    assert perform_together(both, lambda: False, note)
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_what_a_process_says_is_what_the_user_reads(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    wild = with_(FULL, **TWO, learning_rate=1e30, num_train_epochs=9.0)
    with pytest.raises(UserError, match="is not a number .* the training has diverged"):
        perform_together(job(tiny, encoded, wild, tmp_path), lambda: False, lambda *_: None)


@pytest.mark.slow
def test_the_stage_with_two_processes(bench: Callable[..., StageContext]) -> None:
    here = bench("two")
    config = CONFIG.model_copy(update={"processes": 2, "per_device_train_batch_size": 2})
    run(config, here)
    alone = bench("one")
    run(CONFIG, alone)
    found, wanted = (
        [row["loss"] for row in read_jsonl(one.folder / "loss.jsonl")] for one in (here, alone)
    )
    assert found == pytest.approx(wanted, rel=1e-4)
    assert (here.folder / "model" / "template.json").is_file()
    with pytest.raises(Stopped):
        run(config, bench("stopped", lambda: True))


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.slow
def test_a_port_that_another_program_took_first_is_passed_over(
    tiny: Path,
    encoded: list[Encoded],
    tmp_path: Path,
    taken_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free, given = processes._free_port, [taken_port]
    monkeypatch.setattr(processes, "_free_port", lambda: given.pop() if given else free())
    both = job(tiny, encoded[:8], with_(PLAIN, **TWO), tmp_path)
    assert perform_together(both, lambda: False, lambda *_: None)
    assert not given and len(losses(tmp_path)) == 2


@pytest.mark.slow
def test_ports_that_are_all_taken_are_a_sentence(
    tiny: Path,
    encoded: list[Encoded],
    tmp_path: Path,
    taken_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_free_port", lambda: taken_port)
    monkeypatch.setattr(processes, "_PORTS", 1)
    both = job(tiny, encoded[:8], with_(PLAIN, **TWO), tmp_path)
    with pytest.raises(UserError, match="taken by others before the processes could meet"):
        perform_together(both, lambda: False, lambda *_: None)
    assert not psutil.Process().children()


def test_one_of_several_that_runs_out_of_memory_says_which_and_what_to_do(
    tiny: Path, encoded: list[Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's own error, from where a GPU would raise it."""
    both = job(tiny, encoded[:8], with_(PLAIN, **TWO), tmp_path)
    (both.scratch / processes.JOB).write_bytes(pickle.dumps(both))
    told: list[dict[str, str]] = []

    def out_of_memory(*args: Any, **more: Any) -> bool:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(worker, "lifeline", lambda: told.append)
    monkeypatch.setattr(worker, "perform", out_of_memory)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert worker.main(both.scratch) == 1
    (word,) = told
    assert word["what"].startswith("train, process 2 of 2: memory ran out (CUDA out of memory")
    assert "train.fsdp: true" in word["cure"]


@pytest.mark.slow
def test_a_full_disk_of_one_process_is_a_sentence_and_costs_nothing(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    both = job(tiny, encoded[:8], with_(FULL, **TWO), tmp_path)
    with (
        no_file_larger_than(100_000),
        pytest.raises(UserError, match="process 1 of 2: the disk does not take"),
    ):
        perform_together(both, lambda: False, lambda *_: None)
    assert perform_together(both, lambda: False, lambda *_: None)


def test_parts_of_a_step_are_all_of_it() -> None:
    rows = [Row([n] * n, [n] * n) for n in (3, 9, 1, 4, 7)]
    parts = [own_part(rows, rank, 3) for rank in range(3)]
    assert sorted(len(row.ids) for part in parts for row in part) == [1, 3, 4, 7, 9]
    assert own_part(rows, 0, 1) == rows
    assert [row.learned for row in own_part(rows[:1], 1, 2)] == [0]


def test_as_many_gpus_as_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_processes(1)
    with pytest.raises(UserError, match="train.processes: 2, and 1 GPU can be seen"):
        check_processes(2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="2 GPUs are visible, and train.processes uses 1"):
        check_processes(1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    check_processes(2)
    assert processes.STOPPED != 0
