"""Whose licence or terms bind a model, and what they say about research, internal and commercial use: one dated table.

It names and sums up; it does not judge, and it is no legal advice. What is not in the table is answered with "ask".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.core.lazy_regex import lazy_regex

if TYPE_CHECKING:
    from alpaca_pipe.data.own_terms import Reading

Use = Literal["research", "internal", "commercial"]
Answer = Literal["yes", "ask", "no"]
USES: tuple[Use, ...] = get_args(Use)
_WORST: tuple[Answer, ...] = ("no", "ask", "yes")
# Of the recipe's own words, for research, internal and commercial use.
_READ: dict[Reading, tuple[Answer, Answer, Answer]] = {
    "open licence": ("yes", "yes", "yes"),
    "not to be sold": ("ask", "ask", "no"),
    "research only": ("ask", "no", "no"),
    "not to train on": ("ask", "no", "no"),
    "unread": ("ask", "ask", "ask"),
}
NO_ADVICE = "This is information from a dated table, not legal advice."


@dataclass(frozen=True)
class LicenceTerms:
    """A row of the table. unless_base: names of bases for which it forbids nothing, as far as we can tell. owners: who publishes
    such weights on the hub, in lower case; empty where it does not matter."""

    of: str
    names: re.Pattern[str]
    whose: str
    licence: str
    says: str
    uses: dict[str, Answer]
    where: str
    as_of: str
    checked: str
    by: str = ""
    unless_base: re.Pattern[str] | None = None
    owners: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Where it is written, and how old our knowledge is."""
        looked = (
            f"checked {self.checked}{f' against {self.by}' if self.by else ''}"
            if self.checked != "-"
            else "not looked up again"
        )
        return f"{self.where}, as of {self.as_of}, {looked}"


@dataclass(frozen=True)
class Finding:
    """What one ingredient's terms say to one use. licence: its name in the table; "" where the table, or whoever wrote the
    recipe, does not name one."""

    ingredient: Ingredient
    answer: Answer
    says: str
    source: str = ""
    licence: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.ingredient.name} ({self.ingredient.kind}): {self.says}"


def findings(ingredients: Iterable[Ingredient], use: Use) -> tuple[Finding, ...]:
    """One for each ingredient, those that forbid first."""
    known = list(dict.fromkeys(ingredients))
    bases = [one.name for one in known if one.kind == "base"]
    found = [_finding(one, use, bases) for one in known]
    return tuple(sorted(found, key=lambda one: _WORST.index(one.answer)))


def answer(found: Sequence[Finding]) -> Answer:
    """Of all together: what one forbids, nobody allows."""
    return min((one.answer for one in found), key=_WORST.index, default="yes")


def terms_of(model: str) -> str:
    """One sentence about the terms that bind what a model wrote, by its name."""
    row = _row("teacher", model)
    if row is None:
        return "the terms of this model are not in our table; read its licence and its provider's terms"
    return f"{row.whose}: {row.says} ({row.source})"


def _finding(one: Ingredient, use: Use, bases: Sequence[str]) -> Finding:
    row = _row(one.kind, one.name)
    known = _by_table(one, row, use, bases)
    return _by_own_words(one, use, known, row is not None) if one.said else known


def _by_table(one: Ingredient, row: LicenceTerms | None, use: Use, bases: Sequence[str]) -> Finding:
    if row is None:
        which = (
            "rows keep the licence of where they came from"
            if one.kind == "data"
            else "read its licence and its provider's terms"
        )
        return Finding(one, "ask", f"not in our table: {which}")
    allowed = row.unless_base is not None and any(
        row.unless_base.match(_bare(base)) for base in bases
    )
    if row.owners and (owner := _owner(one.name)) not in ("", *row.owners):
        asked = min(row.uses[use], "ask", key=_WORST.index)
        says = f"{row.licence} by its name, but {owner} may have tuned it under terms of its own: read its page"
        return Finding(one, asked, says, row.source, row.licence)
    lifted: Answer = "yes" if use == "research" else "ask"
    return Finding(
        one,
        lifted if allowed else row.uses[use],
        f"{row.licence}: {row.says}",
        row.source,
        row.licence,
    )


def _by_own_words(one: Ingredient, use: Use, known: Finding, in_table: bool) -> Finding:
    """A licence that we know is believed, if our table does not forbid; other words allow nothing that the table does not."""
    from alpaca_pipe.data.own_terms import read_terms

    reading = read_terms(one.said)
    read, said = _READ[reading][USES.index(use)], f"as the recipe says: {one.said}"
    if reading == "open licence" and known.answer != "no":
        return Finding(one, read, said)
    told = {
        "open licence": "which our table does not say",
        "unread": "words in which we recognise no licence",
    }.get(reading, reading)
    beside = f"; by our table: {known.says}" if in_table else ""
    worst = "ask" if reading == "open licence" else min(read, known.answer, key=_WORST.index)
    return Finding(one, worst, f"{said} ({told}){beside}", known.source)


def _row(kind: str, name: str) -> LicenceTerms | None:
    of = "teacher" if kind == "judge" else kind
    rows = (row for row in table() if row.of == of)
    if of == "data":
        return next((row for row in rows if row.names.search(name.lower())), None)
    return next((row for row in rows if row.names.match(_bare(name))), None)


def _owner(name: str) -> str:
    """Of a name on the hub, OWNER/NAME; "" of any other."""
    owner, slash, rest = name.lower().partition("/")
    return owner if slash and owner and "/" not in rest else ""


def _bare(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()


@cache
def table() -> tuple[LicenceTerms, ...]:
    """All rows, in their order. TOML, since every `plan` reads them: a tenth of the time that YAML takes."""
    text = Path(__file__).with_name("terms.toml").read_text(encoding="utf-8")
    return tuple(map(_read, tomllib.loads(text)["rows"]))


def _read(row: dict[str, Any]) -> LicenceTerms:
    unless = row.get("unless_base")
    return LicenceTerms(
        row["of"],
        _any(row["names"]),
        row["whose"],
        row["licence"],
        row["says"],
        {use: row[use] for use in USES},
        row["where"],
        str(row["as_of"]),
        str(row["checked"]),
        row.get("by", ""),
        _any(unless) if unless else None,
        tuple(row.get("owners", ())),
    )


def _any(names: Sequence[str]) -> re.Pattern[str]:
    return lazy_regex("|".join(f"(?:{name})" for name in names))
