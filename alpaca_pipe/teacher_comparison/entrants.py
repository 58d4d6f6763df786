"""Who takes part: models of the recipe's own teacher table, or the `teacher:` tables of other files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped
from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.recipe.dotenv import lend_keys
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.past_its_end import refuse_past_its_end

_OF_THE_MODEL = (
    "identity",
    "terms",
    "price",
    "lines",
)  # keys that say something of one model, not of the server


@dataclass(frozen=True)
class Entrant:
    name: str
    teacher: TeacherTable


def entrants(
    recipe: Recipe, source: str, names: Sequence[str], overrides: Sequence[str], rehearse: bool
) -> tuple[Entrant, ...]:
    """source: the recipe as it was named, whose table a model goes into. Raises UserError: a name that is neither, two that ask
    the same model in the same way, a model without a price."""
    found = [
        Entrant(_called(name), table.rehearsed() if rehearse else table)
        for name in names
        for table in [teacher_of(recipe, source, name, overrides)]
    ]
    for place, one in enumerate(found):
        if other := next((other for other in found[:place] if other.name == one.name), None):
            raise UserError(
                f"two teachers are called '{other.name}'",
                "name each once; files are called by their name without .yaml",
            )
        if same := next(
            (
                other
                for other in found[:place]
                if other.teacher.identity() == one.teacher.identity()
            ),
            None,
        ):
            raise UserError(
                f"{same.name} and {one.name} are the same model, asked in the same way",
                "there is nothing to compare",
            )
        refuse_past_its_end(one.teacher)
        one.teacher.priced()
    return tuple(found)


def teacher_of(
    recipe: Recipe, source: str, name: str, overrides: Sequence[str] = ()
) -> TeacherTable:
    """The table of a file or a shipped recipe; else the recipe's own with another model. What says something of one model (its
    price, its terms) does not go over to another; a server that is free is free for all of its models."""
    if name.endswith((".yaml", ".yml")) or (shipped("recipes") / f"{name}.yaml").is_file():
        other = load_recipe(name, CATALOG, complete=False)
        lend_keys(other)  # its .env lies beside it
        table = other.tables.get("teacher")
        if table is None:
            raise UserError(f"{name}: there is no teacher in it", "add a table 'teacher:'")
        return table  # type: ignore[no-any-return]
    own: TeacherTable | None = recipe.tables.get("teacher")
    if own is None:
        raise UserError(
            f"{recipe.name}: this recipe has no teacher, so '{name}' says too little",
            "name a file with a table 'teacher:'",
        )
    if name == own.model:
        return own
    free = own.price is not None and own.priced().free
    dropped = [f"teacher.{key}=null" for key in _OF_THE_MODEL if not (key == "price" and free)]
    tables = load_recipe(
        source, CATALOG, [*overrides, f"teacher.model={json.dumps(name)}", *dropped]
    ).tables
    table = tables["teacher"]
    return table  # type: ignore[no-any-return]


def judge_of(
    recipe: Recipe, source: str, name: str | None, overrides: Sequence[str], rehearse: bool
) -> Grading | None:
    """How rows are graded: as the recipe says under curate.grade, by `name` where it is given; None: they are not."""
    own: Grading | None = getattr(recipe.stages.get("curate"), "grade", None)
    if name is None:
        return own
    table = teacher_of(recipe, source, name, overrides)
    return (own or Grading()).model_copy(
        update={"teacher": table.rehearsed() if rehearse else table}
    )


def _called(name: str) -> str:
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name
