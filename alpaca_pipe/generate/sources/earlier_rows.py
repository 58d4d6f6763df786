"""An earlier run's rows, by RECIPE@DATE or as a file: what a new run goes on from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationInfo

from alpaca_pipe.core.config_table import from_recipe
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.data.run_names import check_meaning, history, matching

ROWS = "examples.jsonl"


def _rows(value: Any, info: ValidationInfo) -> Path | None:
    """The file; known by its content in the identity of the step."""
    if value is None:
        return None
    if isinstance(value, str) and "@" in value and not (path := from_recipe(value, info)).exists():
        return rows_of_run(_workspace(info), *value.rsplit("@", 1))
    path = from_recipe(value, info)
    path = path / ROWS if path.is_dir() else path
    if not path.is_file():
        raise ValueError(
            f"no such file: {path} - name an examples.jsonl of ours, or RECIPE@DATE of a run in the workspace"
        )
    return path


def rows_of_run(workspace: Path, recipe: str, when: str) -> Path:
    """The rows that generate accepted in the last run of a recipe that `when` can mean, as in data/run_names.py."""
    runs = [run for run in history(workspace, recipe) if "generate" in run.get("steps", {})]
    found = matching(runs, when)
    if not found:
        days = sorted({str(run.get("run", ""))[:10] for run in runs})
        raise ValueError(
            f"{recipe} has no run of {when} that made rows in {workspace} - "
            + (
                f"it has runs of {', '.join(days[-5:])}"
                if days
                else "see `alpaca-pipe history RECIPE`"
            )
        )
    try:
        check_meaning(found, when, f"{recipe}@{when}")
    except UserError as error:
        raise ValueError(str(error)) from None  # as pydantic takes it
    rows: Path = within(workspace / "store", found[-1]["steps"]["generate"]) / ROWS
    if not rows.is_file():
        raise ValueError(
            f"the rows of {recipe}@{when} are gone: {rows} - name another run, or run that recipe again"
        )
    return rows


def _workspace(info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("runs") or os.environ.get("ALPACA_PIPE_RUNS") or "runs")


def _rows_or_folder(value: Any, info: ValidationInfo) -> Path | None:
    """A folder without rows of ours in it is a folder of files to read."""
    named = from_recipe(value, info) if isinstance(value, str | Path) else None
    if named is not None and named.is_dir() and not (named / ROWS).is_file():
        return named
    return _rows(value, info)


Reworked = Annotated[
    Path | None, PlainValidator(_rows_or_folder, json_schema_input_type=str | None)
]
Extended = Annotated[Path | None, PlainValidator(_rows, json_schema_input_type=str | None)]
