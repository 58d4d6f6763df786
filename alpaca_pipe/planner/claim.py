"""One published claim about costs, and the verdict of our own figure on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["holds", "off", "does not hold", "not checkable here"]


@dataclass(frozen=True)
class Claim:
    """One published claim, and what we make of it."""

    name: str
    said: str
    source: str
    made: str  # when: a year, a month or a day
    formula: str  # with its numbers
    ours: str
    verdict: Verdict
    why: str = ""  # of a verdict that is not plain "holds"

    @property
    def sentence(self) -> str:
        return (
            f"{self.verdict}{' ' if self.verdict == 'off' else ': '}{self.why}"
            if self.why
            else self.verdict
        )


def compared(said: float, ours: float, within: float = 1.05) -> tuple[Verdict, str]:
    """A verdict on one figure: "holds" up to a factor `within`, else by what factor it is off."""
    factor = max(said, ours) / min(said, ours)
    return ("holds", "") if factor <= within else ("off", f"by a factor of {factor:.3g}")
