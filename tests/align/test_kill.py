"""kill -9 at any moment between two steps, and again: the same bytes as of a run that nobody killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.align.stage import run
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pairs.config import PairJudging, PairsConfig
from alpaca_pipe.pairs.stage import run as make_pairs
from alpaca_pipe.recipe.stage import StageContext
from tests.align.test_stage import config, results
from tests.evaluate.test_judge import teacher
from tests.proving.start import proving

Bench = Callable[..., StageContext]


def killed(work: Callable[[Callable[[], bool]], object], at: int) -> bool:
    """Runs `work` in a process of its own, which is killed where it asks for the `at`-th time whether to stop. Whether it was."""
    child = os.fork()
    if child == 0:
        asked = 0

        def stopping() -> bool:
            nonlocal asked
            asked += 1
            if asked == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return False

        code = 1
        try:
            work(stopping)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize(
    "method",
    [
        "dpo",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("kto", "reward", "rloo", "grpo")),
    ],
)
def test_align_killed(bench: Bench, method: str) -> None:
    how = config(method, save_steps=1)
    wanted, context = bench("whole"), bench("killed")
    run(how, wanted)
    times = 0
    for at in (3, 4, 5, 3, 4, 9, 4):  # further and further in, for each goes on where the last was
        times += killed(lambda stopping: run(how, replace(context, stopping=stopping)), at)
    assert times >= 2
    run(how, context)
    assert results(context.folder) == results(wanted.folder)


def test_pairs_killed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def by(question, answer, ended):\n    return len(answer)\n")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(f'{{"instruction": "Say {n}", "output": "it"}}' for n in range(70)))
    how = PairsConfig.model_validate_json(
        f'{{"from": "{rows}", "rule": "{tmp_path}/mine.py:by", "num_generations": 2, "template": "alpaca", "max_completion_length": 4}}'
    )
    wanted, context = bench("whole"), bench("killed")
    make_pairs(how, wanted)
    times = 0
    for _ in range(4):
        times += killed(lambda stopping: make_pairs(how, replace(context, stopping=stopping)), 2)
    assert times >= 3
    make_pairs(how, context)
    assert results(context.folder) == results(wanted.folder)


def test_pairs_of_a_teacher_and_a_judge_killed(bench: Bench, tmp_path: Path) -> None:
    """Killed while answers are bought and while they are judged, over real HTTP: the same bytes, and what was stored is not
    bought again."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(f'{{"instruction": "Say {n}", "output": "it"}}' for n in range(8)))
    with proving(tmp_path / "books.sqlite", judge="longer", cached=0, reasoning=0) as server:
        how = PairsConfig.model_validate(
            {
                "from": rows,
                "answers": "teacher",
                "teacher": teacher(server.url, concurrency=2),
                "judge": PairJudging(teacher=teacher(server.url, concurrency=2)),
                "num_generations": 2,
                "max_completion_length": 12,
            }
        )

        def made(context: StageContext, ledger: str, stopping: Callable[[], bool]) -> None:
            journal = Journal.open(tmp_path / ledger)
            try:
                make_pairs(how, replace(context, journal=journal, stopping=stopping))
            finally:
                journal.close()

        def never() -> bool:
            return False

        wanted, context = bench("whole"), bench("killed")
        made(wanted, "whole.sqlite", never)
        whole = server.state()["answered"]
        assert whole == 8 * 2 + 2 * len(list(read_jsonl(wanted.folder / "judgements.jsonl"))) // 2
        times = sum(
            killed(lambda stopping: made(context, "killed.sqlite", stopping), at)
            for at in (5, 9, 7, 8)
        )
        assert times >= 3
        made(context, "killed.sqlite", never)
        assert results(context.folder) == results(wanted.folder)
        server.quiet()
        assert server.state()["answered"] <= 2 * whole + 2 * times  # at most what was in flight
