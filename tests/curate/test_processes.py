"""The same bytes out, in one process or in several."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from alpaca_pipe.core.files import tree_digest
from alpaca_pipe.curate import rules
from alpaca_pipe.curate.stage import STAGE, CurateConfig
from tests.curate.test_stage import BAD, ROWS, bench, row

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork")


@pytest.mark.parametrize(
    "options",
    [
        {"duplicates": {"keep": "best"}},
        *(pytest.param(more, marks=pytest.mark.slow) for more in ({}, {"repair": False})),
    ],
)
def test_in_one_process_and_in_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    many = [
        one
        for n in range(1300)
        for one in (
            row(f"Say what {n} is like, and then {n * 7} and {n * 11}.", f"{n} of them" * (n % 3)),
            row("Say the plural of this word.", f"w{n % 900}"),
            BAD[n % 3],
            ROWS[n % 8],
        )
    ]
    digests = set()
    for name, processes in (("one", 1), ("three", 3)):
        monkeypatch.setattr(rules, "_PROCESSES_FROM", 1)
        monkeypatch.setattr(rules, "spare_cores", lambda: processes)  # noqa: B023
        at = bench(tmp_path / name, many)
        config = CurateConfig.model_validate({"held_out": 5, **options})
        said = STAGE.run(config, at).summary
        digests.add((tree_digest(at.folder), json.dumps(said)))
    assert len(digests) == 1
