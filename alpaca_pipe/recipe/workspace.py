"""The folder `runs/`: where the books, the sealed steps and each recipe's own folder lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.data.own_files import lock_of
from alpaca_pipe.ledger.budget import BudgetTable, Caps, read_budget
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.store import StepStore


@dataclass(frozen=True)
class Workspace:
    """The folder `runs/`: books, sealed steps, and a folder for each recipe."""

    root: Path

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def store(self) -> StepStore:
        return StepStore(self.root / "store")

    def caps(self, recipe: Recipe) -> Caps:
        """The caps of a recipe's budget; those of the workspace's own, `budget.yaml`, with the same keys; and those of the
        share with which the recipe was unpacked here, which hold whatever the recipe says."""
        own, everywhere = (
            recipe.tables.get("budget") or BudgetTable(),
            read_budget(self.root / "budget.yaml"),
        )
        return replace(
            own.caps(),
            everywhere=everywhere.caps() if everywhere else None,
            share=self._share(recipe),
        )

    def _share(self, recipe: Recipe) -> Caps | None:
        if not self.ledger.exists():  # so nothing was unpacked here
            return None
        from alpaca_pipe.ledger.budget_shares import caps_of

        return caps_of(self.ledger, recipe.name, recipe.files)

    def of(self, recipe: str) -> Path:
        """The recipe's own folder. UserError for a name that would lead elsewhere."""
        return within(self.root, recipe)

    def packed_prices(self, recipe: str) -> Path:
        """The prices that came with the recipe in a pack, where some did."""
        return self.of(recipe) / "prices.yaml"

    def lock(self, recipe: str) -> dict[str, Any]:
        """What the last run of a recipe used: {"recipe", "config", "steps": {stage: folder}}; empty before the first."""
        return lock_of(self.of(recipe))

    def rehearsal(self) -> Workspace:
        return Workspace(self.root / "rehearsal")
