"""Which `license:` a card can carry: one that holds for all that went in, as the Hub spells it; else `other`, and why.

The Hub's `license` is one name. Terms of a provider are none, and two licences that each want their own kept cannot be one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.data.markdown import as_text
from alpaca_pipe.data.terms import Finding, findings

OTHER = "other"
_Kind = Literal["open", "alike", "unsold", "own"]
# name in the table of terms -> the Hub's, and what it wants of what is made with it: a notice; the same licence; that it is not
# sold; its own terms kept
_OF_THE_HUB: Mapping[str, tuple[str, _Kind]] = {
    "MIT": ("mit", "open"),
    "Apache-2.0": ("apache-2.0", "open"),
    "CC BY-SA 3.0": ("cc-by-sa-3.0", "alike"),
    "CC BY-NC 4.0": ("cc-by-nc-4.0", "unsold"),
    "Gemma Terms of Use": ("gemma", "own"),
    "Llama 2 Community License": ("llama2", "own"),
}


class CardLicence(NamedTuple):
    """name: as the Hub spells it.  why: a sentence in Markdown; "" where nothing of others went in."""

    name: str
    why: str


def licence_of(ingredients: Iterable[Ingredient], *, weights: bool = False) -> CardLicence:
    """weights: of a model that was trained on them; whether a licence of rows goes on to it is then a question."""
    found = findings(ingredients, "commercial")
    if not found:
        return CardLicence(OTHER, "")
    if unnamed := [one for one in found if one.licence not in _OF_THE_HUB]:
        return CardLicence(OTHER, f"No licence can be named for all of it: {_listed(unnamed)}.")
    binding = [one for one in found if _kind(one) != "open"]
    names = sorted({one.licence for one in binding})
    if len(names) > 1:
        return CardLicence(
            OTHER,
            f"No one licence holds for all of it: {_listed(binding)}. What is made of both cannot keep to both under one of them.",
        )
    if doubtful := [one for one in found if _kind(one) == "open" and one.answer != "yes"]:
        told = "; ".join(f"{_who(one)}: {one.says}" for one in doubtful)
        return CardLicence(OTHER, f"An open licence alone would say too much: {told}.")
    if binding and weights and _kind(binding[0]) == "alike":
        return CardLicence(
            OTHER,
            f"{_listed(binding)}: whether what is made of the rows includes a model is a question that no table answers.",
        )
    if not binding and len({one.licence for one in found}) > 1:
        return CardLicence(
            OTHER, f"Several open licences, and the notice of each is kept: {_listed(found)}."
        )
    name = (names or [found[0].licence])[0]
    beside = [one for one in found if one.licence != name]
    why = (
        f"{name} holds for all of it{f'; the notices stay of {_listed(beside)}' if beside else ''}."
    )
    return CardLicence(_OF_THE_HUB[name][0], why)


def _kind(one: Finding) -> _Kind:
    return _OF_THE_HUB[one.licence][1]


def _who(one: Finding) -> str:
    return f"{as_text(one.ingredient.name)} ({one.ingredient.kind})"


def _listed(found: Sequence[Finding]) -> str:
    return ", ".join(
        f"{_who(one)} under {one.licence or 'terms that we do not know'}" for one in found
    )
