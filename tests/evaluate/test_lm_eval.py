"""lm-eval passed through: its own command on a task of our own and tiny models. Needs lm-eval, as test_rules_agree.py does."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.evaluate.lm_eval_harness import LmEval, harness
from alpaca_pipe.weights.base import Checkpoint
from tests.evaluate.conftest import ANSWERS, World

TASK = """task: four_letters
dataset_path: json
dataset_kwargs:
  data_files:
    test: {rows}
test_split: test
output_type: multiple_choice
doc_to_text: "Below is an instruction that describes a task. Write a response that appropriately completes the request.\\n\\n### Instruction:\\n{{{{asked}}}}\\n\\n### Response:\\n"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{target}}}}"
target_delimiter: ""
metric_list:
  - metric: acc
metadata:
  version: 1
"""


def own_task(folder: Path) -> Path:
    folder.mkdir()
    rows, choices = folder / "rows.json", list(ANSWERS.values())
    rows.write_text(
        "".join(
            json.dumps({"asked": f"{letters} {n}", "choices": choices, "target": n % 4}) + "\n"
            for n, letters in ((n, list(ANSWERS)[n % 4]) for n in range(100, 112))
        )
    )
    (folder / "four_letters.yaml").write_text(TASK.format(rows=rows))
    return folder


def test_its_figures_stand_beside_ours_and_are_made_once(world: World, tmp_path: Path) -> None:
    if not (os.environ.get("LM_EVAL_PYTHON") or find_spec("lm_eval")):
        pytest.skip("lm-eval is not installed here, and LM_EVAL_PYTHON names no Python that has it")
    how = LmEval(
        tasks=("four_letters",), include=own_task(tmp_path / "tasks"), arguments=("--device", "cpu")
    )
    given = how, Checkpoint(str(world.base)), world.tuned, tmp_path / "scratch", tmp_path / "log"
    found = harness(*given)["lm_eval"]
    scores = found["tasks"]["four_letters"]["acc"]
    assert scores["tuned"] > scores["base"] and scores["tuned"] >= 0.75
    assert set(scores) == {"base", "tuned", "base_error", "tuned_error"} and found["version"]
    before = (tmp_path / "log").stat().st_size
    assert harness(*given)["lm_eval"] == found and (tmp_path / "log").stat().st_size == before


def test_without_it_nothing_is_lost_and_the_cure_is_said(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Checkpoint(str(world.base))
    given = LmEval(tasks=("x",)), base, world.tuned, tmp_path / "scratch", tmp_path / "log"
    monkeypatch.setenv("LM_EVAL_PYTHON", str(tmp_path / "none"))
    with pytest.raises(UserError, match="names .*none, which is no program"):
        harness(*given)
    monkeypatch.setenv("LM_EVAL_PYTHON", sys.executable)
    if not find_spec("lm_eval"):
        with pytest.raises(UserError, match="ended with code 1: .*No module named"):
            harness(*given)
        monkeypatch.delenv("LM_EVAL_PYTHON")
        with pytest.raises(UserError, match=r"pip install 'alpaca-pipe\[lm-eval\]'"):
            harness(*given)
