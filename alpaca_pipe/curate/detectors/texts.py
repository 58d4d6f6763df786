"""The texts of a row, by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from alpaca_pipe.core.example import Example

T = TypeVar("T")
FIELDS = ("instruction", "input", "output", "system")
# Of ASCII: a control that no text holds, a digit, what may part the digits of a number, anything else.
_CONTROL, _DIGIT, _PART, _OTHER = b"!0-x"
_KINDS = bytes(
    _CONTROL if code < 9 or code in (11, 12) or 14 <= code < 32 or code == 127
    else _DIGIT if 48 <= code < 58
    else _PART if chr(code) in " \t\r\n.-"
    else _OTHER
    for code in range(256)
)  # fmt: skip


class FirstLook(NamedTuple):
    """All texts of a row on end, and the kinds of their characters; b"" where not all of them are ASCII."""

    text: str
    kinds: bytes

    @property
    def may_hold_controls(self) -> bool:
        return not self.kinds or _CONTROL in self.kinds

    @property
    def may_hold_telephone(self) -> bool:
        return self.may_hold_controls or b"000-0000" in self.kinds


def of_the_last_row(look: Callable[[Example], T]) -> Callable[[Example], T]:
    """`look`, which is not asked again of the row that it was asked of last: repairs and filters ask the same."""
    last: list[Any] = [None, None]

    def looked(example: Example) -> T:
        if last[0] is not example:
            last[:] = example, look(example)
        found: T = last[1]
        return found

    return looked


@of_the_last_row
def first_look(example: Example) -> FirstLook:
    text = "\n".join((*example.texts, example.system))
    return FirstLook(text, text.encode().translate(_KINDS) if text.isascii() else b"")


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
