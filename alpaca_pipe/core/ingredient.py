"""What a recipe brings in whose licence or terms bind what is made of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["base", "teacher", "judge", "data"]


class Ingredient(NamedTuple):
    """A model or data set, by the name that others know it by. said: its terms in the recipe's own words, or ""."""

    kind: Kind
    name: str
    said: str = ""
