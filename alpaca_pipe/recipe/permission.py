"""May this recipe be run for the use that it names: what it brings in, held against the dated table of licences and terms.

What a licence forbids is refused, unless the user says to have accepted the terms; that is kept with its day in the recipe's
lock, and in the history of the run. What depends on who you are is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.data.terms import NO_ADVICE, Finding, Use, answer, findings
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog, used_by

FLAG = "--i-accept-terms"


@dataclass(frozen=True)
class Permission:
    """findings: for this use, one for each ingredient.  accepted: {"use", "of": names, "at"} as the user said, or None."""

    use: Use
    ingredients: tuple[Ingredient, ...] = ()
    findings: tuple[Finding, ...] = ()
    accepted: Mapping[str, Any] | None = None

    @property
    def refused(self) -> tuple[Finding, ...]:
        """What a licence forbids and nobody has accepted."""
        taken = (
            set(self.accepted["of"])
            if self.accepted and self.accepted["use"] == self.use
            else set[str]()
        )
        return tuple(
            one for one in self.findings if one.answer == "no" and one.ingredient.name not in taken
        )

    def warnings(self) -> Iterator[str]:
        """A sentence for each thing to be asked about; none for research, where terms seldom forbid and the card tells them."""
        for one in self.findings:
            if one.answer == "ask" and self.use != "research":
                yield f"before {self.use} use, ask about {one.sentence} ({one.source or 'no source'})"
            elif one.answer == "no" and one not in self.refused and self.accepted:
                yield f"accepted on {str(self.accepted['at'])[:10]} for {self.use} use: {one.sentence}"

    def check(self) -> None:
        """Raises UserError where something is forbidden and not accepted."""
        if not self.refused:
            return
        told = "; ".join(f"{one.sentence} ({one.source})" for one in self.refused)
        raise UserError(
            f"use: {self.use} is forbidden by the terms of what this recipe brings in: {told}. {NO_ADVICE}",
            f"choose another base, teacher or data, set use: research where that is true, or say {FLAG} to `run` where "
            "you have the right",
        )

    def to_row(self) -> dict[str, Any]:
        """As the lock and the history keep it."""
        return {
            "use": self.use,
            "answer": answer(self.findings),
            "brings": [list(one) for one in self.ingredients],
            "findings": [
                {
                    "kind": one.ingredient.kind,
                    "name": one.ingredient.name,
                    "answer": one.answer,
                    "says": one.says,
                    "source": one.source,
                }
                for one in self.findings
            ],
            "accepted": dict(self.accepted) if self.accepted else None,
        }


def permission(
    recipe: Recipe, catalog: Catalog, before: Mapping[str, Any] | None = None, accept: bool = False
) -> Permission:
    """before: the `terms` of the recipe's lock, whose acceptance holds on.  accept: the user says so now."""
    ingredients = tuple(_brought(recipe, catalog))
    found = findings(ingredients, recipe.use)
    accepted = (before or {}).get("accepted")
    if accept:
        names = [one.ingredient.name for one in found if one.answer != "yes"]
        accepted = {
            "use": recipe.use,
            "of": names,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    return Permission(recipe.use, ingredients, found, accepted)


def _brought(recipe: Recipe, catalog: Catalog) -> Iterator[Ingredient]:
    """Of the stages, and of the shared tables that they use; each once."""
    used = {
        name
        for kind, table in recipe.stages.items()
        for name in used_by(catalog.stage(kind), table)
    }
    tables = [table for name, table in recipe.tables.items() if name in used]
    yield from dict.fromkeys(
        one for table in (*tables, *recipe.stages.values()) for one in table.brings()
    )
