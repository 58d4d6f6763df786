"""Money is an integer count of nano-dollars (1e-9 $); prices are exact decimals; nothing here is ever a float."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil

NANO = 1_000_000_000  # nano-dollars in a dollar
_PER_TOKEN = NANO // 1_000_000  # a price of $1 per million tokens is 1000 nano-dollars a token


@lru_cache(maxsize=1024)
def _a_token(per_million: Decimal) -> tuple[int, int]:
    """Nano-dollars a token, as a ratio of whole numbers."""
    return (Fraction(per_million) * _PER_TOKEN).as_integer_ratio()


def cost_of_tokens(tokens: int, per_million: Decimal) -> int:
    """Nano-dollars for tokens of one class at $ per million, rounded once, half to even."""
    if not tokens:
        return 0
    over, under = _a_token(per_million)
    whole, rest = divmod(over * tokens, under)
    return whole + (2 * rest > under or (2 * rest == under and whole % 2))


@lru_cache(maxsize=1024)
def whole_per_token(per_million: Decimal) -> int:
    """Nano-dollars a token, rounded up: so many times the tokens is a ceiling, however the classes are rounded."""
    return ceil(Fraction(per_million) * _PER_TOKEN)


def nanodollars(dollars: Decimal) -> int:
    """Dollars as nano-dollars; what lies below a nano-dollar is cut off, so that a cap is never raised by rounding."""
    return int(Fraction(dollars) * NANO)


def exactly(amount: int) -> str:
    """Nano-dollars as dollars for a machine: `0.000000700`, every digit."""
    return f"{Decimal(amount).scaleb(-9):.9f}"


def shown(amount: int) -> str:
    """Nano-dollars for a reader: `$12.34`, below a dollar `$0.0123`; something is never shown as nothing."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    if 0 < amount < NANO // 10_000:
        return f"{sign}<$0.0001"
    places = (
        4 if amount < NANO - 50_000 else 2
    )  # what four places would round up to a dollar is shown as one
    return f"{sign}${round(Decimal(amount) / NANO, places):,}"


def enough(amount: int) -> str:
    """As `shown`, rounded up: a cap that is raised to just this holds the amount. `$0.5737` for 573,601 micro-dollars."""
    step = NANO // (10_000 if amount < NANO - 50_000 else 100)
    return shown(max(1, -(-amount // step)) * step)
