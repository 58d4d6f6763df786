"""Outputs that say the same again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter, shortened

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import loops
else:
    loops = lazy_module("alpaca_pipe.curate.detectors.loops")


@row_filter(order=190)
def repetition(
    example: Example, most: float = 0.5, times: int = 4, least_words: int = 30
) -> str | None:
    """A loop, which small models fall into: the output ends in saying the same `times` times or more, or more than `most` of
    its five-word runs were there before; both from `least_words` words on, where no song, drill or schedule was asked for.

    Rae et al. 2021 (Gopher, table A1) draw the line at 0.15 of the characters, for web pages. Instruction data holds
    songs, drills and code: on the 52K 0.3 hits 49 rows, most of them sound; 0.5 hits none.
    """
    said = loops.words_to_repeat(example.output, least_words)
    again = loops.last_loop(said, times, least_words)
    share = 0.0 if again else loops.repeated_share(said, most)
    if not (again or share > most) or loops.may_repeat(example.instruction):
        return None
    if again:
        return f"the output ends in a loop: '{shortened(again)}'"
    return f"{share:.0%} of the output repeats itself, at most {most:.0%} wanted"


@row_filter(order=200)
def repeated_items(example: Example) -> str | None:
    """A list in the output says an item twice that the prompt does not."""
    item = loops.repeated_item(example.output, f"{example.instruction}\n{example.input}")
    if not item or loops.may_repeat(example.instruction):
        return None
    return f"a list in the output says '{shortened(item)}' twice"
