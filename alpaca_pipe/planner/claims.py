"""`alpaca-pipe claims`: what others have published about costs, recomputed by the code that `plan` uses.

The claims themselves are in published.py. That most of them come out right is the planner's known-answer test; that some do
not is said as plainly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import date

from alpaca_pipe.core.screen import echo, echo_json
from alpaca_pipe.core.today import today
from alpaca_pipe.planner.published import claims


def print_claims(json: bool = False, day: date | None = None) -> None:
    """Every claim with source, formula, our figure and verdict. Reads no network; prices are the book's of the day."""
    found = claims(day or today())
    if json:
        echo_json([asdict(claim) for claim in found])
        return
    for claim in found:
        echo(f"{claim.name}  ({claim.made}; {claim.source})")
        for label, text in (
            ("said", claim.said),
            ("formula", claim.formula),
            ("ours", claim.ours),
            ("verdict", claim.sentence),
        ):
            echo(f"  {label:<8} {text}")
    counts = Counter(claim.verdict for claim in found)
    echo(
        f"{len(found)} claims: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}"
    )
