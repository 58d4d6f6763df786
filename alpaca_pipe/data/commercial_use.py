"""May we sell it? yes, no or ask, with the reasons and where they are written: for cards, and for the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.data.markdown import as_text
from alpaca_pipe.data.terms import NO_ADVICE, Answer, Finding, answer, findings

_WORDS: Mapping[Answer, str] = {
    "yes": "Yes, as far as the terms in our table go.",
    "ask": "Ask first: it depends on what you do and who you are.",
    "no": "No: at least one of them forbids it.",
}


@dataclass(frozen=True)
class CommercialUse:
    """sentence: the answer in words; findings: the reasons; accepted: what whoever ran it said to have accepted, or ""."""

    answer: Answer
    sentence: str
    findings: tuple[Finding, ...]
    accepted: str
    advice: str = NO_ADVICE


def selling(
    ingredients: Iterable[Ingredient], accepted: Mapping[str, Any] | None = None
) -> CommercialUse:
    found = findings(ingredients, "commercial")
    said = answer(found)
    sentence = _WORDS[said] if found else "Nothing of others went in whose terms we know of."
    return CommercialUse(said, sentence, found, _accepted(accepted))


def brought(terms: Mapping[str, Any]) -> tuple[Ingredient, ...]:
    """What a recipe brought in, as its lock or the history of a run keeps it."""
    return tuple(Ingredient(*one) for one in terms.get("brings", ()))


def as_chapter(
    ingredients: Iterable[Ingredient], accepted: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """The lines of a card's chapter, in Markdown."""
    told = selling(ingredients, accepted)
    yield from ("## May we sell it?", "", f"**{told.sentence}**", "")
    for one in told.findings:
        brings, says = one.ingredient, one.says
        who = f"{as_text(brings.name)} ({brings.kind})"
        source = f" ({one.source})" if one.source else ""
        yield f"- {one.answer}: {who}: {as_text(says) if brings.said else says}{source}"
    if told.findings:
        yield ""
    if told.accepted:
        yield from (as_text(told.accepted), "")
    yield f"{told.advice} Read the terms themselves before you publish or sell anything made from this."


def _accepted(accepted: Mapping[str, Any] | None) -> str:
    if not accepted:
        return ""
    return (
        f"Whoever ran it said on {str(accepted['at'])[:10]} to have read and accepted the terms for {accepted['use']} use of: "
        f"{', '.join(accepted['of']) or 'all of them'}."
    )
