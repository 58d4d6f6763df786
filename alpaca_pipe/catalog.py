"""The table of contents: every stage that a recipe can name, in the order of the road, and the tables that they share."""

from __future__ import annotations

from alpaca_pipe.data.texts_table import TextsTable
from alpaca_pipe.ledger.budget import BudgetTable
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.models.run_as_base import RecipeBase
from alpaca_pipe.recipe.hooks import Hooks
from alpaca_pipe.recipe.stage import Catalog, stage_of
from alpaca_pipe.teachers.config import TeacherTable

CATALOG = Catalog(
    stages=(
        stage_of("alpaca_pipe.generate.stage"),
        stage_of("alpaca_pipe.curate.stage"),
        stage_of("alpaca_pipe.grow.stage"),
        stage_of("alpaca_pipe.train.stage"),
        stage_of("alpaca_pipe.pairs.stage"),
        stage_of("alpaca_pipe.align.stage"),
        stage_of("alpaca_pipe.evaluate.stage"),
        stage_of("alpaca_pipe.export.stage"),
    ),
    tables={
        "teacher": TeacherTable,
        "base": RecipeBase,
        "texts": TextsTable,
        "budget": BudgetTable,
        "gpu": GpuTable,
        "on": Hooks,
    },
)
