"""`base.model: run:RECIPE@WHEN`: the model that an earlier run left is the base that this one goes on from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, ValidationError, ValidationInfo

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.weights.base import BaseTable, Checkpoint, read_model, resolve

if TYPE_CHECKING:
    from alpaca_pipe.models.trained_model import Trained

_RUN = "run:"


class ModelOfRun(PosixPath):
    """The folder of a whole model that a run left: known by its content, as any folder is. said: the name it was asked by;
    run: `RECIPE@RUN`, whole; form: "merged model" or "fully tuned model"; brings: what that run's model was made of."""

    said: str = ""
    run: str = ""
    form: str = ""
    brings: tuple[Ingredient, ...] = ()

    @property
    def recipe(self) -> str:
        return self.run.rpartition("@")[0]


def model_in_recipe(value: Any, info: ValidationInfo) -> Any:
    """What a recipe names as a model, a run's model too, as read_model gives it."""
    if not (isinstance(value, str) and value.startswith(_RUN)):
        return read_model(value, info)
    workspace = (info.context or {}).get("runs") or os.environ.get("ALPACA_PIPE_RUNS") or "runs"
    try:
        return model_of_run(value.removeprefix(_RUN), Path(workspace))
    except UserError as error:
        raise ValueError(str(error)) from None  # as pydantic takes it


def model_of_run(said: str, workspace: Path) -> ModelOfRun:
    """said: `RECIPE` (the newest run that left a model), or `RECIPE@WHEN` as in data/run_names.py. Raises UserError for what
    was never run, trained nothing, or left no whole model."""
    from alpaca_pipe.data.run_names import check_meaning, history, matching
    from alpaca_pipe.models.trained_model import find

    recipe, _, when = said.partition("@")
    runs = history(workspace, recipe)
    if not runs:
        known = sorted(path.parent.name for path in workspace.glob("*/history.jsonl"))
        hint = did_you_mean(recipe, known) if known else f"start with `alpaca-pipe run {recipe}`"
        raise UserError(f"{recipe}: nothing was run in {workspace}", hint)
    if when:
        check_meaning(matching(runs, when), when, said)
    found = find(workspace, recipe, when)
    if found.form == "adapter":
        raise UserError(
            f"{recipe}@{found.run} left an adapter, and a base is a whole model",
            f"`alpaca-pipe run {recipe} --until export` merges it (with export.merge: true)",
        )
    return _as_path(found, said)


def _as_path(found: Trained, said: str) -> ModelOfRun:
    model = ModelOfRun(found.folder.resolve())
    model.said, model.run, model.form = said, f"{found.recipe}@{found.run}", found.form
    model.brings = found.brings
    return model


def plain_model(model: str | Path) -> str:
    """As the history keeps it: the run by its whole name, for a later one may be meant by what was written."""
    return f"{_RUN}{model.run}" if isinstance(model, ModelOfRun) else str(model)


class RecipeBase(BaseTable):
    """The recipe's `base:` table, in which a run's model can be named too."""

    model: Annotated[
        str | Path,
        PlainValidator(model_in_recipe, json_schema_input_type=str),
        PlainSerializer(plain_model, return_type=str),
        Field(
            description="a known name (smollm2-135m-instruct), a hub id (org/name), a checkpoint folder, a GGUF file, "
            "run:RECIPE@DATE, the model that an earlier run exported, or new (drawn, in the shape of `shape`)"
        ),
    ]

    @property
    def called(self) -> str:
        """The run's own name, where it is one's model."""
        return self.model.run if isinstance(self.model, ModelOfRun) else super().called

    def brings(self) -> tuple[Ingredient, ...]:
        """Of a run's model all that it was made of: its base, its teacher's terms, its data."""
        return self.model.brings if isinstance(self.model, ModelOfRun) else super().brings()


def goes_on_from(base: BaseTable | None) -> ModelOfRun | None:
    """The run's model that a base is, where it is one."""
    return base.model if base and isinstance(base.model, ModelOfRun) else None


def check_own_run(base: BaseTable | None, recipe: str) -> None:
    """UserError where a recipe goes on from its own last run, whichever that is: each run would make the next one another."""
    earlier = goes_on_from(base)
    if earlier and earlier.recipe == recipe and earlier.said != earlier.run:
        raise UserError(
            f"base.model: run:{earlier.said} is the last such run of this recipe itself, so every run would begin at the one before",
            f"name one for good: base.model: run:{earlier.run}",
        )


def base_of(table: Mapping[str, Any], workspace: Path | None) -> RecipeBase:
    """The table as a history of that workspace keeps it. Raises pydantic's ValidationError for what is not on this machine."""
    return RecipeBase.model_validate_json(
        json.dumps(dict(table)), context={"folder": Path.cwd(), "runs": workspace}
    )


def base_folder(trained: Trained, say: Callable[[str], None]) -> Checkpoint:
    """The base that a model was tuned from. Raises UserError where it is not on this machine, or is another one than an adapter
    that was packed was trained on."""
    table = base_here(trained)
    if trained.packed and table.identity()["model"] != trained.base_is:
        raise UserError(
            f"{table.model} is not the base that the adapter of {trained.recipe} was trained on: its files differ",
            _cure(trained),
        )
    return resolve(table, say)


def base_here(trained: Trained) -> RecipeBase:
    """Its table. Raises UserError where it names what is not on this machine."""
    try:
        return base_of(trained.base, trained.workspace)
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(
            f"the base of {trained.recipe} is not here: {what}", _cure(trained)
        ) from None


def _cure(trained: Trained) -> str:
    if trained.packed:
        return f"name its folder on this machine as base.model in {trained.folder}/adapter_of.json"
    return "only the merged model needs no base: `alpaca-pipe run RECIPE --until export` makes it"
