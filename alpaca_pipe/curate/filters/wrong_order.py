"""Lists that were to be sorted, and are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter, shortened

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import sorting
else:
    sorting = lazy_module("alpaca_pipe.curate.detectors.sorting")


@row_filter(order=224)
def wrong_order(example: Example) -> str | None:
    """The task is to sort a list by the alphabet or by number (in English), and the output has its items in another order."""
    found = sorting.misplaced(example)
    return (
        f"'{shortened(found[0], 30)}' stands after '{shortened(found[1], 30)}'" if found else None
    )
