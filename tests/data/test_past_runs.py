"""The runs of a recipe by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.data.run_names import past_run

RUNS = (
    ("2025-11-30T09-00-00-0aaa", "done"),
    ("2026-10-02T10-00-00-a1b2", "done"),
    ("2026-10-02T17-30-00-c3d4", "done"),
    ("2026-10-20T08-00-00-eeee", "stopped"),
    ("2026-11-03T12-00-00-ffff", "done"),
    ("2026-12-01T12-00-00-a1b2", "failed"),
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_jsonl(
        tmp_path / "vet" / "history.jsonl",
        ({"run": run, "steps": {}, "outcome": outcome} for run, outcome in RUNS),
    )
    return tmp_path


@pytest.mark.parametrize(
    ("name", "run", "number"),
    [
        ("vet", 4, 1),
        ("vet.yaml", 4, 1),
        ("vet@1", 4, 1),  # the failed one after it takes no number
        ("vet@4", 0, 4),
        ("vet@oct", 2, 2),
        ("vet@October-2026", 2, 2),
        ("vet@2026-10-02", 2, 2),
        ("vet@2026-10-02T10", 1, 3),
        ("vet@2026-10-02T17:30", 2, 2),
        ("vet@2026-10-20", 3, 0),
        ("vet@nov-2025", 0, 4),
        ("vet@ffff", 4, 1),
        ("vet@dec", 5, 0),
    ],
)
def test_a_name_means_the_last_finished_run_that_it_can_mean(
    workspace: Path, name: str, run: int, number: int
) -> None:
    found = past_run(workspace, name)
    assert (found.id, found.number) == (RUNS[run][0], number)


def test_what_could_be_several_is_said_or_refused(workspace: Path) -> None:
    assert (
        past_run(workspace, "vet@oct").says
        == "vet@oct is 2026-10-02T17-30-00-c3d4, the last of 2 finished"
    )
    for name, says in (
        ("vet@nov", "2 runs: 2025-11-30.*, 2026-11-03.*write the year"),
        ("vet@a1b2", "2 runs: 2026-10-02.*, 2026-12-01"),
        ("vet@2024", "no run '2024'.*it has 2025-11-30"),
        (
            "vet@9",
            "no run '9' - of those that were finished it has 2025-11-30.*@4.*, 2026-11-03T12-00-00-ffff",
        ),
        ("ox", "nothing was run.*vet"),
    ):
        with pytest.raises(UserError, match=says):
            past_run(workspace, name)


def test_only_finished_runs_are_offered_for_a_number(workspace: Path) -> None:
    with pytest.raises(UserError) as caught:
        past_run(workspace, "vet@9")
    assert "eeee" not in caught.value.cure and "2026-12-01" not in caught.value.cure
    write_jsonl(
        workspace / "ill" / "history.jsonl",
        [{"run": "2026-12-02T12-00-00-abcd", "steps": {}, "outcome": "stopped"}],
    )
    with pytest.raises(UserError, match="none was finished, and only those have numbers"):
        past_run(workspace, "ill@2")


def test_a_first_run_that_is_under_way_is_not_nothing(workspace: Path) -> None:
    write_jsonl(workspace / "young" / "log.jsonl", [{"at": "now"}])
    with pytest.raises(UserError, match="no run of it has come to an end") as caught:
        past_run(workspace, "young@9")
    assert "alpaca-pipe status young" in caught.value.cure
