"""The table of contents: every stage that a recipe can name, in the order of the road, and the tables that they share."""

from __future__ import annotations

from alpaca_pipe.align.stage import STAGE as ALIGN
from alpaca_pipe.curate.stage import STAGE as CURATE
from alpaca_pipe.data.texts_table import TextsTable
from alpaca_pipe.evaluate.stage import STAGE as EVALUATE
from alpaca_pipe.export.stage import STAGE as EXPORT
from alpaca_pipe.generate.stage import STAGE as GENERATE
from alpaca_pipe.grow.stage import STAGE as GROW
from alpaca_pipe.ledger.budget import BudgetTable
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.models.run_as_base import RecipeBase
from alpaca_pipe.pairs.stage import STAGE as PAIRS
from alpaca_pipe.recipe.hooks import Hooks
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.train.stage import STAGE as TRAIN

CATALOG = Catalog(
    stages=(GENERATE, CURATE, GROW, TRAIN, PAIRS, ALIGN, EVALUATE, EXPORT),
    tables={
        "teacher": TeacherTable,
        "base": RecipeBase,
        "texts": TextsTable,
        "budget": BudgetTable,
        "gpu": GpuTable,
        "on": Hooks,
    },
)
