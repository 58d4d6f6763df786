"""The texts of a row, by field."""

from __future__ import annotations

from collections.abc import Iterator

from alpaca_pipe.core.example import Example

FIELDS = ("instruction", "input", "output", "system")


def texts_of(example: Example) -> Iterator[tuple[str, str]]:
    """(field, text) of all that the row says: of a conversation each message, as `message 3`."""
    if not example.messages:
        yield "instruction", example.instruction
        if example.input:
            yield "input", example.input
        yield "output", example.output
    for number, message in enumerate(example.messages, 1):
        yield f"message {number}", message.text
    if example.system:
        yield "system", example.system
