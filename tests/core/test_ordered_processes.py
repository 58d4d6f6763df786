"""Work in copies of this process: the results of plain map, in order, whatever becomes of a copy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.ordered_processes import in_order

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 12), st.integers(1, 4))
def test_as_map_does(count: int, processes: int) -> None:
    assert list(in_order(lambda n: (n, "x" * n), count, processes)) == [
        (n, "x" * n) for n in range(count)
    ]


def test_large_results_do_not_clog_it() -> None:
    assert [len(one) for one in in_order(lambda n: bytes(300_000 + n), 9, 3)] == [
        300_000 + n for n in range(9)
    ]


def test_what_is_raised_is_raised_here() -> None:
    def work(number: int) -> int:
        if number == 4:
            raise UserErrors([UserError("row 4 is bad", "fix it")]) if number else ValueError
        return number

    found = in_order(work, 9, 2)
    assert [next(found) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(Exception, match="row 4 is bad"):
        next(found)


def test_what_a_killed_copy_leaves_undone_is_done_here() -> None:
    here = os.getpid()

    def work(number: int) -> int:
        if number == 3 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number

    assert list(in_order(work, 20, 3)) == [n * n for n in range(20)]


def test_no_copy_is_left_when_it_is_given_up() -> None:
    before = set(psutil.Process().children())
    found = in_order(lambda n: n, 100_000, 3)
    assert [next(found) for _ in range(5)] == [0, 1, 2, 3, 4]
    found.close()  # type: ignore[attr-defined]
    assert set(psutil.Process().children()) <= before


ORPHANS = """
import os, signal
from alpaca_pipe.core.ordered_processes import in_order
from psutil import Process
found = in_order(lambda n: n, 10**9, 2)
next(found), next(found)
print(*(child.pid for child in Process().children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_copies_end_with_the_one_that_was_killed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHANS], check=False, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL
    copies = [int(pid) for pid in done.stdout.split()]
    assert len(copies) == 2
    _, alive = psutil.wait_procs(
        [psutil.Process(pid) for pid in copies if psutil.pid_exists(pid)], timeout=30
    )
    assert not alive
