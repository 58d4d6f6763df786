"""`alpaca-pipe claims`: what others have published about costs, recomputed by the code that `plan` uses.

The claims themselves are in published.py. That most of them come out right is the planner's known-answer test; that some do
not is said as plainly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal

from alpaca_pipe.core.today import today

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


def print_claims(json: bool = False, day: date | None = None) -> None:
    """Every claim with source, formula, our figure and verdict. Reads no network; prices are the book's of the day."""
    from alpaca_pipe.planner.published import claims

    found = claims(day or today())
    if json:
        import json as as_json

        print(as_json.dumps([asdict(claim) for claim in found], ensure_ascii=False, indent=2))
        return
    for claim in found:
        print(f"{claim.name}  ({claim.made}; {claim.source})")
        for label, text in (
            ("said", claim.said),
            ("formula", claim.formula),
            ("ours", claim.ours),
            ("verdict", claim.sentence),
        ):
            print(f"  {label:<8} {text}")
    counts = Counter(claim.verdict for claim in found)
    print(
        f"{len(found)} claims: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}"
    )
