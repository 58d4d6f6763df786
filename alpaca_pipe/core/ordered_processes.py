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
from typing import TypeVar

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

    The first is done here: what it loads and compiles, the copies then have. What `work` raises is raised here, and what a
    process leaves undone that was killed is done here. None of them outlives the iteration; where this one is killed, each
    ends at its next result.
    """
    begin = count if processes < 2 else min(count, 1)
    yield from map(work, range(begin))
    children: list[tuple[BaseProcess, Connection]] = []
    try:
        for number in range(min(processes, count - begin)):
            children.append(_copy(work, range(begin + number, count, processes), children))
        for number in range(begin, count):
            _, here = children[(number - begin) % len(children)]
            try:
                done, result = here.recv()
            except (EOFError, OSError):
                done, result = True, work(number)
            if not done:
                raise result
            yield result
    finally:
        for child, here in children:
            here.close()
            child.terminate()
        for child, _ in children:
            child.join()


def _copy(
    work: Callable[[int], T], numbers: range, others: list[tuple[BaseProcess, Connection]]
) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    ends = [*(end for _, end in others), here]
    child = context.Process(target=_run, args=(work, numbers, ends, there), daemon=True)
    child.start()
    there.close()
    return child, here


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
