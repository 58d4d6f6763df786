"""Outputs that say the same again and again."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filters.base import row_filter, shortened


@row_filter(order=190)
def repetition(
    example: Example, most: float = 0.5, times: int = 4, least_words: int = 30
) -> str | None:
    """A loop, which small models fall into: the output ends in saying the same `times` times or more, or more than `most` of
    its five-word runs were there before; both from `least_words` words on, where no song, drill or schedule was asked for.

    Rae et al. 2021 (Gopher, table A1) draw the line at 0.15 of the characters, for web pages. Instruction data holds
    songs, drills and code: on the 52K 0.3 hits 49 rows, most of them sound; 0.5 hits none.
    """
    from alpaca_pipe.curate.detectors.loops import last_loop, may_repeat, repeated_share

    if may_repeat(example.instruction):
        return None
    if again := shortened(last_loop(example.output, times, least_words)):
        return f"the output ends in a loop: '{again}'"
    share = repeated_share(example.output, least_words, most)
    return (
        f"{share:.0%} of the output repeats itself, at most {most:.0%} wanted"
        if share > most
        else None
    )


@row_filter(order=200)
def repeated_items(example: Example) -> str | None:
    """A list in the output says an item twice that the prompt does not."""
    from alpaca_pipe.curate.detectors.loops import may_repeat, repeated_item

    if may_repeat(example.instruction):
        return None
    item = shortened(repeated_item(example.output, f"{example.instruction}\n{example.input}"))
    return f"a list in the output says '{item}' twice" if item else None
