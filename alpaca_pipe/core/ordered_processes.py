"""Work in several processes, its results in order: for pure Python over blocks of rows, where one core would be the limit."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

T = TypeVar("T")
_MOST = 4  # each holds some 60 MB of its own


def spare_cores() -> int:
    """How many processes are worth having here; 1 where a process cannot be split in two (Windows), or not safely (macOS)."""
    if not sys.platform.startswith("linux"):
        return 1
    return min(_MOST, len(os.sched_getaffinity(0)))


def in_order(work: Callable[[int], T], count: int, processes: int) -> Iterator[T]:
    """`work(0)`, `work(1)` ... `work(count - 1)`, each in one of so many processes that begin as copies of this one: so
    `work` may use whatever is here, and what it changes stays there. With one process it is plain `map`.

    What `work` raises is raised here. None of the processes outlives the iteration; where this one is killed, each ends
    at its next result.
    """
    if processes < 2 or count < 2:
        yield from map(work, range(count))
        return
    context = multiprocessing.get_context("fork")
    children: list[tuple[BaseProcess, Connection]] = []
    try:
        for number in range(min(processes, count)):
            here, there = context.Pipe(duplex=False)
            child: BaseProcess = context.Process(
                target=_run,
                args=(
                    work,
                    range(number, count, processes),
                    [*(end for _, end in children), here],
                    there,
                ),
                daemon=True,
            )
            child.start()
            there.close()
            children.append((child, here))
        for number in range(count):
            done, result = _received(*children[number % len(children)])
            if not done:
                raise result
            yield result
    finally:
        for child, here in children:
            here.close()
            child.terminate()
        for child, _ in children:
            child.join()


def _received(process: BaseProcess, here: Connection) -> Any:
    try:
        return here.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"a worker process ended with {process.exitcode}") from None


def _run(
    work: Callable[[int], T], numbers: range, others: list[Connection], out: Connection
) -> None:
    """The whole life of a child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is this one's parent that is asked to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for end in others:  # else nobody would notice that the parent is gone
        end.close()
    try:
        for number in numbers:
            try:
                out.send((True, work(number)))
            except BrokenPipeError:
                return
            except Exception as error:  # noqa: BLE001 - raised anew in the parent
                out.send((False, _portable(error)))
                return
    finally:
        out.close()


def _portable(error: Exception) -> Exception:
    """It, with where it came from; or what it says, where it cannot be sent."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever keeps it from being sent
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
