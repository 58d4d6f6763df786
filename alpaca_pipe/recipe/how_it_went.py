"""How a run ended, in a sentence for those who were not there: what it made, its verdict, or who stopped it."""

from __future__ import annotations

from collections.abc import Mapping

from alpaca_pipe.recipe.store import Done

STOPPED_BY = {
    "person": "it was stopped from outside (Ctrl-C, SIGTERM or a lost terminal); the same command goes on",
    "output": "nobody reads what it prints any more; the same command goes on",
}


def rows_of(steps: Mapping[str, Done]) -> int | None:
    """Rows that curate kept, else that generate accepted; None where there are none yet."""
    for kind, key in (("curate", "kept"), ("generate", "accepted")):
        if kind in steps and isinstance(found := steps[kind].summary.get(key), int):
            return found
    return None


def verdict_of(steps: Mapping[str, Done]) -> str:
    return str(steps["evaluate"].summary.get("sentence", "")) if "evaluate" in steps else ""


def how_it_went(steps: Mapping[str, Done]) -> str:
    """Of a run that is done."""
    rows = rows_of(steps)
    made = "" if rows is None else f"{rows:,} rows"
    return "; ".join(filter(None, (made, verdict_of(steps)))) or f"{', '.join(steps)} up to date"
