"""lm-eval's tasks, passed through: its own command on base and tuned, and its figures beside ours. Nothing of it is ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.evaluate.config import LmEval
from alpaca_pipe.weights.base import Checkpoint

PYTHON = "LM_EVAL_PYTHON"  # of an environment that has lm-eval, where this one has not
_ANSWERED = "results_*.json"


def harness(
    how: LmEval, base: Checkpoint, tuned: Path, scratch: Path, logs: Path
) -> dict[str, Any]:
    """`lm_eval`: by task and metric the figures of base and tuned, with lm-eval's standard errors. A model that it has answered
    for is not asked again. UserError where it is not there, or ends with an error."""
    python = python_of_lm_eval()
    found = {
        "base": _results(how, python, _of_checkpoint(base), scratch / "lm_eval_base", logs),
        "tuned": _results(how, python, _of_tuned(base, tuned), scratch / "lm_eval_tuned", logs),
    }
    return {"lm_eval": {"version": found["base"]["lm_eval_version"], "tasks": _beside(found)}}


def python_of_lm_eval() -> str:
    """UserError where there is none."""
    if named := os.environ.get(PYTHON):
        if which(named):
            return named
        raise UserError(
            f"evaluate.lm_eval: {PYTHON} names {named}, which is no program",
            f"name the Python of an environment that has lm-eval in {PYTHON}",
        )
    if find_spec("lm_eval"):
        return sys.executable
    raise UserError(
        "evaluate.lm_eval: lm-eval is not installed",
        f"pip install 'alpaca-pipe[lm-eval]', or name the Python of an environment that has it in {PYTHON}",
    )


def _of_checkpoint(base: Checkpoint) -> str:
    return f"pretrained={base.source}" + (f",revision={base.revision}" if base.revision else "")


def _of_tuned(base: Checkpoint, tuned: Path) -> str:
    """An adapter is laid onto the base, a full model stands in its place."""
    if (tuned / "adapter_config.json").is_file():
        return f"{_of_checkpoint(base)},peft={tuned},tokenizer={tuned}"
    return f"pretrained={tuned}"


def _results(how: LmEval, python: str, model: str, folder: Path, logs: Path) -> Mapping[str, Any]:
    if not list(folder.rglob(_ANSWERED)):
        _run(how, python, model, folder, logs)
    answered = sorted(folder.rglob(_ANSWERED))
    if not answered:
        raise UserError(
            "evaluate.lm_eval: lm_eval ended without results",
            f"read {logs.name} in the step's folder",
        )
    whole: dict[str, Any] = json.loads(answered[-1].read_text(encoding="utf-8"))
    return whole


def _run(how: LmEval, python: str, model: str, folder: Path, logs: Path) -> None:
    command = [
        *(python, "-m", "lm_eval", "run", "--model", "hf", "--model_args", model),
        *("--tasks", ",".join(how.tasks), "--output_path", str(folder)),
        *(("--include_path", str(how.include)) if how.include else ()),
        *(("--limit", str(how.limit)) if how.limit else ()),
        *how.arguments,
    ]
    with logs.open("ab") as log:
        try:
            code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        except OSError as error:
            raise UserError(
                f"evaluate.lm_eval: {python} cannot be started: {error.strerror}",
                f"name another Python in {PYTHON}",
            ) from None
    if code:
        raise UserError(
            f"evaluate.lm_eval: lm_eval ended with code {code}: {_last_line(logs)}",
            f"what it said stands in {logs.name} in the step's folder",
        )


def _last_line(logs: Path) -> str:
    lines = logs.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else "it said nothing"


def _beside(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """task -> metric -> {base, tuned, base_error, tuned_error}."""
    tasks: dict[str, dict[str, dict[str, Any]]] = {}
    for model, whole in found.items():
        for task, metrics in whole["results"].items():
            for name, value in metrics.items():
                metric, _, way = name.partition(",")
                if not way or not isinstance(value, int | float):
                    continue
                error = metric.endswith("_stderr")
                row = tasks.setdefault(task, {}).setdefault(metric.removesuffix("_stderr"), {})
                row[f"{model}_error" if error else model] = value
    return tasks


def said(tasks: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Sequence[str]:
    return [
        f"lm-eval, {task}: {metric} {row['base']:.4g} -> {row['tuned']:.4g}"
        for task, metrics in tasks.items()
        for metric, row in metrics.items()
        if "base" in row and "tuned" in row
    ]
