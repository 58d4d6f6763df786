"""Numbers that somebody else wrote (a server's usage, a header, a bill, a pack, a price): finite, whole where they count
something, and within a bound, or refused. Nothing that comes from outside is calculated with before it went through here.
"""

from __future__ import annotations

import json
import math
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

MOST_TOKENS = 1 << 31  # of one class in one reply: more is a slip
MOST_DOLLARS = Decimal(1_000_000)  # in one amount
LARGEST = (1 << 63) - 1  # that SQLite takes
MONTH = 31 * 86_400.0  # seconds: nobody is asked to wait for longer than that
_NANO = 1_000_000_000
_ONE_NANO = Decimal(1).scaleb(-9)
_DIGITS = 40  # of a whole number; nothing that is counted has more
_SHOWN = 20  # characters of what somebody wrote
_ABSURD = Decimal(
    "Infinity"
)  # in place of a number that arithmetic cannot hold: no reader takes it


class BadNumber(ValueError):
    """A figure that cannot be one. Its text shows what was written, cut."""


def whole_number(value: Any, *, least: int = 0, most: int = LARGEST) -> int:
    """A count: an int, or an exact 12.0. Raises BadNumber; a text, true and 1.5 are no counts."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadNumber(shown_value(value))
    if not (_finite(value) and least <= value <= most):  # before anything is made of it: 1e999999
        raise BadNumber(shown_value(value))
    if not isinstance(value, int) and value != int(value):
        raise BadNumber(shown_value(value))
    return int(value)


def exact_number(value: Any, *, least: Decimal | int = 0, most: Decimal | int) -> Decimal:
    """An amount, every digit kept: an int, a Decimal, or its decimal text. Raises BadNumber."""
    if isinstance(value, str):
        value = _decimal(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadNumber(shown_value(value))
    if not (_finite(value) and least <= value <= most):
        raise BadNumber(shown_value(value))
    return Decimal(str(value)) if isinstance(value, float) else Decimal(value)


def nanodollars_of(dollars: Any) -> int:
    """Dollars that somebody charges as nano-dollars, rounded once, half to even. Raises BadNumber."""
    exact = exact_number(dollars, most=MOST_DOLLARS)
    return int(exact.quantize(_ONE_NANO, ROUND_HALF_EVEN) * _NANO)  # never 10 ** their exponent


def number_in(text: str | None, *, most: float) -> float | None:
    """A header's figure between 0 and `most`, or None where it is none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number <= most else None


def exact_json(text: str | bytes) -> Any:
    """JSON whose numbers are ints and Decimals: what a provider bills never passes through a binary float, and a number of a
    thousand digits or a giant exponent is one that no reader takes, not an exception. Raises ValueError alone, for lists in
    lists by the thousand too."""
    try:
        return json.loads(text, parse_float=_decimal, parse_int=_int, parse_constant=_decimal)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def exact_json_at(text: str, place: int) -> tuple[Any, int]:
    """The value that begins at a place of a text, read as `exact_json` does, and where it ends. Raises ValueError."""
    try:
        return _DECODER.raw_decode(text, place + len(text[place:]) - len(text[place:].lstrip()))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def shown_value(value: Any) -> str:
    """What somebody wrote, cut, for a sentence."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a number of very many digits"
    if isinstance(value, str | int | float | Decimal):
        return str(value)[:_SHOWN]
    return f"a {type(value).__name__}"


def _int(text: str) -> int | Decimal:
    return int(text) if len(text) <= _DIGITS else _decimal(text)


def _decimal(text: str) -> Decimal:
    """Of JSON's or anybody's spelling; what no Decimal can hold is absurd."""
    try:
        return Decimal(text)
    except ArithmeticError:
        return _ABSURD


def _finite(value: float | Decimal) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) or math.isfinite(value)  # an int may be too large for a float


_DECODER = json.JSONDecoder(parse_float=_decimal, parse_int=_int, parse_constant=_decimal)
