"""How many rows a request brought, from the first round to the last: where the teacher begins to repeat itself, it falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alpaca_pipe.report import figures
from alpaca_pipe.report.chapters.base import ReportChapter, Told, drawn, with_figures
from alpaca_pipe.report.facts import Facts

_COLUMNS = 16  # that a page has room for


def yields(rounds: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """(which rounds, accepted rows of 100 requests), rounds put together where they are many."""
    size = -(-len(rounds) // _COLUMNS) or 1
    found = []
    for start in range(0, len(rounds), size):
        some = rounds[start : start + size]
        requests = sum(one["seats"] + one["answers"] for one in some)
        accepted = sum(one["accepted"] for one in some)
        name = f"{start + 1}" if len(some) == 1 else f"{start + 1}-{start + len(some)}"
        if requests:
            found.append((name, round(100 * accepted / requests)))
    return found


def _told(facts: Facts) -> Told | None:
    bars = yields(facts.rounds)
    if len(bars) < 3:
        return None
    requests = sum(one["seats"] + one["answers"] for one in facts.rounds)
    accepted = sum(one["accepted"] for one in facts.rounds)
    said = (
        f"{accepted:,} rows were accepted from {requests:,} requests. In the first rounds 100 requests brought {bars[0][1]} rows, "
        f"in the last {bars[-1][1]}."
    )
    picture = figures.columns(bars, "accepted rows of 100 requests, by round")
    shown = [drawn("Accepted rows of 100 requests, by round", picture)] if picture else []
    return with_figures("What the requests yielded", [said], shown)


YIELD = ReportChapter("yield", 34, _told)
