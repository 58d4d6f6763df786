"""The last lines of a run, of summaries alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.report.run_files import RunFiles, StageFiles
from alpaca_pipe.report.summary import _rows

GENERATED: dict[str, Any] = {"accepted": 16, "pieces": 17, "requests": 17}


def lines(**changed: Any) -> list[str]:
    stage = StageFiles("generate", done={"summary": GENERATED | changed})
    return list(_rows(RunFiles(Path("runs"), "r", {}, {"generate": stage}, {})))


@pytest.mark.parametrize("extended", [{}, {"extended": 0}])
def test_a_run_of_its_own_names_no_earlier_rows(extended: dict[str, int]) -> None:
    assert lines(**extended) == ["accepted    16 examples of 17 candidates, from 17 requests"]


def test_a_run_that_extends_another_says_how_many_rows_were_there() -> None:
    assert lines(extended=24)[1].strip() == "after 24 rows of an earlier run"


def test_a_run_that_had_enough_rows_says_that_it_asked_nobody() -> None:
    (_, said) = lines(extended=24, requests=0, accepted=0, pieces=0)
    assert said.strip().endswith("generate.count wants no more, nobody was asked")
