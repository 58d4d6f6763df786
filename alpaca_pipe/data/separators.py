"""What every row of a file ends with: the separators of OpenAI's old tuning files, which are no part of the texts."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from alpaca_pipe.core.example import Example

# A separator is made of signs, or is a word of its own that says that the text ends.
_ASKED = re.compile(r"(?:\s*(?:#{2,}|-{1,2}>|={2,}>?|~{2,}|\*{3,}|-{3,}|\|{2,}|%{2,})\s*|\n{2,})\Z")
_ANSWERED = re.compile(
    r"\s*(?:#{2,}|\*{3,}|-{3,}|={3,}|~{3,}|<END>|\[END\]|(?<=\s)(?:END|STOP|DONE|EOS))\s*\Z"
)


@dataclass(frozen=True)
class Separators:
    """asked: what each instruction ends with; answered: each output; led: whether each output begins with a blank."""

    asked: str
    answered: str
    led: bool

    @staticmethod
    def of(examples: Sequence[Example]) -> Separators | None:
        """As all of them show it; None where they share none. One row alone shows nothing, unless it has both."""
        rows = [one for one in examples if not one.messages and one.instruction and one.output]
        if not rows or any(one.input for one in rows):
            return None
        asked = _shared([one.instruction for one in rows], _ASKED)
        answered = _shared([one.output for one in rows], _ANSWERED)
        led = all(one.output[0] == " " for one in rows)
        signs = bool(asked.strip()) + bool(answered) + led
        if not asked and not answered or signs < (2 if len(rows) == 1 else 1):
            return None
        return Separators(asked, answered, led)

    def cut(self, example: Example) -> Example:
        """The row without them, where it has them."""
        if example.messages:
            return example
        instruction = (
            example.instruction.removesuffix(self.asked) if self.asked else example.instruction
        )
        output = example.output.removesuffix(self.answered) if self.answered else example.output
        if self.led:
            output = output.removeprefix(" ")
        if not instruction.strip() or (instruction, output) == (
            example.instruction,
            example.output,
        ):
            return example
        return Example.of(instruction, example.input, output, example.origin, example.system)


def _shared(texts: Sequence[str], pattern: re.Pattern[str]) -> str:
    end = os.path.commonprefix([text[::-1][:40] for text in texts])[::-1]
    found = pattern.search(end)
    return found[0] if found and len(found[0]) < min(map(len, texts)) else ""
