"""Numbers as people write them: with a decimal point or a decimal comma, and thousands parted by whatever is left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from alpaca_pipe.core.lazy_regex import lazy_regex

# Digits with points, commas, apostrophes or hard blanks between them, whatever these mean; with a currency or a percent.
NUMBER = r"[$€£¥]?\d+(?:[.,'’\u00a0\u202f]\d+)*%?"
_PARTS = lazy_regex(r"\d+(?:[.,]\d+)+")


@dataclass(frozen=True)
class Notation:
    """decimal: the sign before the decimals. whole: what a number without them looks like, digits grouped or not."""

    decimal: str
    whole: re.Pattern[str]

    def value(self, text: str) -> Fraction | None:
        """`$1,200.50` and `12%` as exact numbers; None where the text is no number in this notation."""
        plain = text.replace("−", "-").replace(" ", "").lstrip("$€£¥")
        sign, plain = (-1, plain[1:].lstrip("$€£¥")) if plain.startswith("-") else (1, plain)
        digits, decimals = self.split(plain.rstrip("%"))
        if not self.whole.fullmatch(digits) or not (decimals or "0").isdecimal():
            return None
        value = Fraction(re.sub(r"\D", "", digits) + (f".{decimals}" if decimals else ""))
        return sign * value / (100 if plain.endswith("%") else 1)

    def split(self, text: str) -> tuple[str, str]:
        """(before, after) the decimal sign."""
        before, _, after = text.partition(self.decimal)
        return before, after


POINT = Notation(
    ".",
    lazy_regex(
        r"\d+|\d{1,3}(?:,\d{3})+|\d{1,3}(?:['’\u00a0\u202f]\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}"
    ),
)
COMMA = Notation(",", lazy_regex(r"\d+|\d{1,3}(?:\.\d{3})+|\d{1,3}(?:['’\u00a0\u202f]\d{3})+"))


def notations(text: str) -> tuple[Notation, ...]:
    """Those that a text's own numbers allow: one where they decide it (`2,5`, `3.75`, `1.234.567`), else both."""
    point = comma = False
    for found in _PARTS.findall(text):
        signs = re.sub(r"\d", "", found)
        last = len(found) - max(found.rfind("."), found.rfind(",")) - 1
        if len(set(signs)) == 2:
            point, comma = point or signs[-1] == ".", comma or signs[-1] == ","
        elif len(signs) > 1 and re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", found):
            point, comma = point or signs[0] == ",", comma or signs[0] == "."
        elif len(signs) == 1 and last != 3:
            point, comma = point or signs == ".", comma or signs == ","
    return (POINT, COMMA) if point == comma else (POINT,) if point else (COMMA,)
