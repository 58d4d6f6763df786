"""A calculator for texts that a model wrote: arithmetic and nothing else, and never longer than a moment.

The text is parsed as Python's grammar has it, and only numbers, + - * / // % **, parentheses and a few functions are calculated.
Whole numbers stay exact. Powers and products are bounded before they are calculated.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_BITS = 4096  # of a whole number, about 1,233 digits: more is no result that anybody reads
_LONGEST = 500  # characters
_DEEPEST = 60
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")

Number = int | float
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitXor: operator.pow,  # 2^3: no model means "exclusive or"
}
_FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (abs, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "exp": (math.exp, 1, 1),
    "floor": (math.floor, 1, 1),
    "log": (math.log, 1, 2),
    "max": (max, 2, 50),
    "min": (min, 2, 50),
    "round": (round, 1, 2),
    "sqrt": (math.sqrt, 1, 1),
}


class NotCalculated(ValueError):
    """What keeps a text from being calculated: a part of a sentence."""


def calculator(text: str) -> str:
    """Calculates arithmetic, such as 2248780 ** 2 or (3 + 4) / 2. Raises NotCalculated."""
    said = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text.strip())
    said = (
        said.rstrip("= ").replace("×", "*").replace("÷", "/").replace("−", "-").replace("²", "**2")
    )
    if len(said) > _LONGEST:
        raise NotCalculated(f"it is longer than {_LONGEST} characters")
    try:
        tree = ast.parse(said, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise NotCalculated(f"{text.strip()[:80]!r} is not arithmetic") from None
    try:
        return written(_value(tree, 0))
    except ZeroDivisionError:
        raise NotCalculated("it divides by zero") from None
    except (OverflowError, TypeError, ValueError) as error:
        if isinstance(error, NotCalculated):
            raise
        raise NotCalculated(str(error)) from None


def written(value: Number) -> str:
    """A whole number with all its digits, another with at most 15 that count."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotCalculated("the result is not a finite number")
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        return f"{value:.15g}"
    return str(value)


def _value(node: ast.expr, depth: int) -> Number:
    if depth > _DEEPEST:
        raise NotCalculated("it is nested too deeply")
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, depth + 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _value(inner, depth + 1)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _calculated(sign, _value(left, depth + 1), _value(right, depth + 1))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            function, least, most = _FUNCTIONS[name]
            if not least <= len(args) <= most:
                raise NotCalculated(f"{name} takes another number of values")
            return _bounded(function(*(_value(one, depth + 1) for one in args)))
        case ast.Name(id="pi"):
            return math.pi
    raise NotCalculated(f"{ast.unparse(node)[:60]!r} is not arithmetic")


def _calculated(sign: ast.operator, left: Number, right: Number) -> Number:
    """One step; how long the result will be is known before it is there."""
    if isinstance(sign, ast.Pow | ast.BitXor):
        whole = isinstance(left, int) and isinstance(right, int)
        if whole and abs(left) > 1 and abs(right) * int(abs(left)).bit_length() > _BITS:
            raise NotCalculated("the power is too large")
        if left == 0 and right < 0:
            raise NotCalculated("it divides by zero")
    if isinstance(sign, ast.Div) and isinstance(left, int) and isinstance(right, int) and right:
        quotient, rest = divmod(left, right)
        return quotient if not rest else left / right
    return _bounded(_BINARY[type(sign)](left, right))


def _bounded(value: Any) -> Number:
    if isinstance(value, complex):
        raise NotCalculated("the result is not a real number")
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise NotCalculated("the number is too large")
    found: Number = value
    return found
