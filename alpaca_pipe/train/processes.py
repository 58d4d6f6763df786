"""One tune by several processes: started, heard, stopped together. Each holds the whole model and takes its part of a step.

They rendezvous as torchrun's do (environment, this machine alone). None outlives us: their stdin is a pipe of ours, and at
its end they leave. A terminal's Ctrl-C reaches us only; we ask them to save first.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.local.child_process import last_lines
from alpaca_pipe.train.cores import check_cores
from alpaca_pipe.train.job import TuneJob

JOB, STOP = "job.pickle", "stop"  # files in the scratch folder
STOPPED = 3  # exit code of a process that was asked to stop, and has saved
_PORTS = 3  # that are tried
_IN_USE = ("EADDRINUSE", "ddress already in use")
_LOOKS_EVERY = 0.05  # seconds
_GONE_WITHIN = 10.0  # seconds from asking a process to leave to killing it


def perform_together(
    job: TuneJob,
    stopping: Callable[[], bool],
    at: Callable[[int, float], None],
    told: Callable[[Mapping[str, Any]], None] = lambda said: None,
) -> bool:
    """As job.perform, by job.hyper.processes processes of this machine. UserError, with what it said, for one that failed."""
    (job.scratch / STOP).unlink(missing_ok=True)
    (job.scratch / JOB).write_bytes(pickle.dumps(job))
    for _ in range(_PORTS):
        done = _once(job, stopping, at, told)
        if done is not None:
            return done
    raise UserError(
        f"train: {_PORTS} free ports of this machine were taken by others before the processes could meet there",
        "run the same command again, when what takes them is done",
    )


def _once(
    job: TuneJob,
    stopping: Callable[[], bool],
    at: Callable[[int, float], None],
    told: Callable[[Mapping[str, Any]], None],
) -> bool | None:
    """None where another program took the port first: nothing was done then."""
    said: list[dict[str, Any]] = []
    processes = [_start(job, rank) for rank in range(job.hyper.processes)]
    ears = [_listen(process, said, at, told) for process in processes]
    try:
        while _fallen(processes) is None and any(one.poll() is None for one in processes):
            if stopping():
                (job.scratch / STOP).touch()
            time.sleep(_LOOKS_EVERY)
        first = _fallen(processes)
    finally:
        for process in processes:
            _leave(process)
        for ear in ears:
            ear.join()
    if first is not None and not said and _port_was_taken(job):
        return None
    if first is not None:
        raise _sentence(job, processes, first, said)
    return all(process.returncode == 0 for process in processes)


def check_processes(wanted: int) -> None:
    """UserError where there are fewer GPUs, or more that would stay idle without a word."""
    import torch

    there = torch.cuda.device_count()
    check_cores(wanted if not there else 1)
    if there and wanted > there:
        raise UserError(
            f"train.processes: {wanted}, and {there} GPU{'s' * (there > 1)} can be seen",
            f"set train.processes: {there}, or make more visible (CUDA_VISIBLE_DEVICES)",
        )
    if there > wanted:
        raise UserError(
            f"train: {there} GPUs are visible, and train.processes uses {wanted}",
            f"set train.processes: {there}, or the environment variable CUDA_VISIBLE_DEVICES=0",
        )


def _start(job: TuneJob, rank: int) -> subprocess.Popen[str]:
    count = job.hyper.processes
    threads = max(1, (os.cpu_count() or 1) // count)
    port = _free_port() if rank == 0 else None
    if port is not None:
        (job.scratch / "port").write_text(str(port))
    environment = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": (job.scratch / "port").read_text(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
    }
    with _log(job, rank).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "alpaca_pipe.train.worker", str(job.scratch)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _port_was_taken(job: TuneJob) -> bool:
    """By the log of the first process, which is the one that binds it."""
    return any(word in last_lines(_log(job, 0)) for word in _IN_USE)


def _log(job: TuneJob, rank: int) -> Path:
    return job.scratch / f"process-{rank}.log"


def _listen(
    process: subprocess.Popen[str],
    said: list[dict[str, Any]],
    at: Callable[[int, float], None],
    told: Callable[[Mapping[str, Any]], None],
) -> threading.Thread:
    """Its lines of JSON: {"step", "loss"}, {"what", "cure"} before it ends, or what `told` hears."""

    def hear() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            word = json.loads(line)
            if "step" in word:
                at(word["step"], word["loss"])
            elif "what" in word:
                said.append(word)
            else:
                told(word)

    thread = threading.Thread(target=hear, daemon=True)
    thread.start()
    return thread


def _fallen(processes: Sequence[subprocess.Popen[str]]) -> int | None:
    """The rank of one that failed: first of those that a signal killed, for the others fail at its silence."""
    codes = [process.poll() for process in processes]
    failed = [rank for rank, code in enumerate(codes) if code not in (None, 0, STOPPED)]
    killed = [rank for rank in failed if (codes[rank] or 0) < 0]
    return next(iter(killed or failed), None)


def _leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_GONE_WITHIN if process.poll() is None else None)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _sentence(
    job: TuneJob,
    processes: Sequence[subprocess.Popen[str]],
    rank: int,
    said: Sequence[dict[str, Any]],
) -> UserError:
    if said:
        return UserError(said[0]["what"], said[0]["cure"])
    code = processes[rank].returncode
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    if code == -signal.SIGKILL:
        how += ", as a machine does whose memory runs out"
    return UserError(
        f"train: process {rank + 1} of {len(processes)} ended ({how}), so the others were ended too; "
        f"the end of its log: {last_lines(_log(job, rank))}",
        "run the same command again: it continues from the last checkpoint",
    )
