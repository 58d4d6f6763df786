"""Rows in another language."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filters.base import row_filter


@row_filter(order=240, on=False)
def language(example: Example, wanted: str = "en", certain: float = 0.99) -> str | None:
    """Another language than wanted (ISO 639-1), where the task is not about languages. Needs the extra `language`."""
    from alpaca_pipe.curate.detectors.languages import other_language

    found = other_language(example, wanted, certain)
    return f"the {found[0]} is in '{found[1]}', not in '{wanted}'" if found else None
