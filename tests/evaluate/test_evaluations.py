"""An evaluation is a module of its own: it is asked of every loaded model, once, and has its part of the summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.evaluate import run as evaluate_run
from alpaca_pipe.evaluate.config import EvaluateConfig
from alpaca_pipe.evaluate.evaluations.base import Evaluation
from alpaca_pipe.evaluate.stage import STAGE
from tests.evaluate.conftest import World


def test_each_has_a_name_and_a_place_of_its_own() -> None:
    found = evaluate_run.evaluations()
    assert [one.name for one in found][:2] == [
        "losses",
        "foreign",
    ]  # the second needs the first's file
    assert len({one.name for one in found}) == len({one.order for one in found}) == len(found)
    assert all(one.ask.__module__.startswith("alpaca_pipe.evaluate.evaluations.") for one in found)


def test_one_more_is_asked_of_every_model_and_concludes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    stopped = {"at": 2}

    def ask(loaded: Any, given: Any) -> int:
        if len(asked) == stopped["at"]:
            raise Stopped
        asked.append(str(loaded.contestant.folder and loaded.contestant.folder.name))
        loaded.at(1, "sized")
        return sum(parameter.numel() for parameter in loaded.model.parameters())

    def conclude(said: Any, given: Any, folder: Path) -> dict[str, Any]:
        (folder / "sizes.txt").write_text(str(said))
        return {"sizes": {name: size > 1000 for name, size in said.items()}}

    usual = evaluate_run.evaluations()
    mine = Evaluation("sizes", 90, lambda contestant, given: 1, ask, conclude)
    monkeypatch.setattr(evaluate_run, "evaluations", lambda: (*usual, mine))
    config = EvaluateConfig(max_new_tokens=10)
    with pytest.raises(Stopped):
        STAGE.run(config, world.bench(tmp_path))
    stopped["at"] = -1
    summary = STAGE.run(config, world.bench(tmp_path)).summary
    assert summary["sizes"] == {"base": True, "tuned": True, "shuffled": True}
    assert summary["verdict"] == "better" and (tmp_path / "sizes.txt").is_file()
    assert len(asked) == 3 and asked[0] == "None"  # what was kept is not asked again
