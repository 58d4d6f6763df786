"""Arithmetic that can be checked: expressions that stand in a text, computed exactly and compared with what it says.

Conservative: whatever is not plainly numbers and operators (variables, units, other bases, chained equations) is left
alone, a rounded or a cut-off figure is right, and so is one that is meant as a percentage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import mean, median

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.word_count import word_count
from alpaca_pipe.curate.detectors.numbers import NUMBER, POINT, Notation, notations

_TERM = rf"(?:\([ \t]*)*[-−]?{NUMBER}(?:[ \t]*\))*"
_OPERATOR = r"[ \t]*(?:\*\*|[+\-−–*×xX·÷/^])[ \t]*"
_EXPRESSION = rf"{_TERM}(?:{_OPERATOR}{_TERM})+"
_EQUATION = lazy_regex(rf"(?P<left>{_EXPRESSION})[ \t]*=[ \t]*(?P<right>[-−]?{NUMBER})")
_TOKEN = lazy_regex(rf"\s*({NUMBER}|\*\*|[-+−–*×xX·÷/^()])")
_SIGNS = {"−": "-", "–": "-", "×": "*", "x": "*", "X": "*", "·": "*", "÷": "/", "**": "^"}

_BEFORE = lazy_regex(
    r"(?:^|[=:;,.\"'“‘>|?!]|\b(?!(?:of|root|log|ln|sin|cos|tan|mod|per|times|plus|minus|squared|cubed|power|by"
    r"|sqrt|factor|and|than|to)\b)[a-z]{2,})[\s\"'“*_`$(]*$",
    re.IGNORECASE,
)
_AFTER = lazy_regex(
    r"\s*(?:$|[.,;:)\]}\"'”’|!?\n]|(?!(?:million|billion|thousand|hundred|dozen|k|m|r|rem|remainder|mod|times|plus"
    r"|minus|or|percent|or|in|base|and \d)\b)[a-z]{2,})",
    re.IGNORECASE,
)
_OTHER_RULES = lazy_regex(
    r"\b(?:binary|hex\w*|octal|base|mod(?:ulo|ulus)?|remainders?|wrong|incorrect|errors?|mistakes?|false|puzzles?|riddles?"
    r"|tricks?|jokes?|fallac\w*|bitwise|boolean|xor|roman|matrix|matrices|vectors?|complex|clock|time|hours?|dates?|rounded"
    r"|rounding|round|nearest|estimat\w*|approximat\w*|integer division|scientific|code|program|python|java\w*|function"
    r"|regular|string|concatenat\w*|ratio|inches|feet|degrees|fahrenheit|celsius)\b",
    re.IGNORECASE,
)

_ASK = r"(?:please |can you )?(?:calculate|compute|evaluate|find|determine|solve|work out|what is|what's|what will be|give|add|sum)"
_FILL = (
    r"(?:\s+(?:the|a|this|that|following|value|values|result|results|answer|sum|product|total|of|to|is|for|up|together|"
    r"simple|basic|given|math|mathematical|arithmetic|expression|equation|problem|operation|calculation|all|these|numbers?"
    r"|two|three|four|five|list|set|array|integers?|data|below|average|mean|and|you|provide|output|it|your|its|in)\b)*"
)
_ASKED = lazy_regex(rf"^{_ASK}{_FILL}\s*:?\s*(?P<what>{_EXPRESSION})\s*=?\s*[.?!]*$", re.IGNORECASE)
_ASKED_OF_INPUT = lazy_regex(rf"^{_ASK}{_FILL}\s*[.:?!]*$", re.IGNORECASE)
_ONLY = lazy_regex(rf"\s*(?P<what>{_EXPRESSION})\s*=?\s*[?.]*\s*")
_PERCENT_OF = lazy_regex(
    rf"^{_ASK}{_FILL}\s*(?P<share>\d+(?:[.,]\d+)?)\s?(?:%|percent) of (?P<whole>{NUMBER})\s*[.?!]*$",
    re.IGNORECASE,
)
# In a list a comma may part two numbers, so its numbers have points; those with decimal commas stand between semicolons.
_IN_LIST = r"[$€£]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?%?"
_LIST = rf"[-−]?{_IN_LIST}(?:\s*(?:,|;|\band\b|\n|\s)\s*(?:and\s+)?[-−]?{_IN_LIST})+"
_ROWS = {
    "sum": r"(?:sum|total)",
    "product": r"product",
    "mean": r"(?:average|mean)",
    "median": r"median",
}
_OF_LIST = {
    name: lazy_regex(
        rf"^(?:{_ASK}|add)\s+(?:the |an? )?(?:arithmetic )?{word} of{_FILL}\s*[.:]?\s*[\[({{]?(?P<list>{_LIST})?"
        rf"[\])}}]?\s*[.?!]*$",
        re.IGNORECASE,
    )
    for name, word in _ROWS.items()
}
_WHOLE_LIST = lazy_regex(rf"\s*[\[({{]?\s*(?P<list>{_LIST})\s*[\])}}]?\s*\.?\s*")
_FIGURE = lazy_regex(rf"(?<![\w.,])[-−]?{NUMBER}(?:\s?/\s?\d+)?")
_VAGUE = lazy_regex(
    r"approx|about|roughly|around|nearly|almost|≈|~|√|sqrt|π|\bpi\b|\be\b|remainder|\br\s?\d|\^|\bi\b|recurring|"
    r"repeating|…|\.\.\.|\d\s+\d+/\d+|million|billion|thousand|hundred",
    re.IGNORECASE,
)
_DIGIT, _ASKS = lazy_regex(r"\d"), lazy_regex(_ASK, re.IGNORECASE)
_PLUS_OR_MINUS = lazy_regex(r"\d\s*%?\s*[-+−–]")
_LONGEST = 40  # words of an answer that is still only the answer
_LARGEST_POWER = 64


@dataclass(frozen=True)
class WrongArithmetic:
    """A computation as it was asked or written, its exact value, and what stands there instead."""

    asked: str
    exact: Fraction
    said: str

    def __str__(self) -> str:
        return f"{' '.join(self.asked.split())} makes {_plain(self.exact)}, the output says {self.said}"


def slip(example: Example) -> WrongArithmetic | None:
    """The first computation of the output, or that the instruction asks for, that comes out wrong, in whichever way the
    row's numbers can be read."""
    output, instruction = example.output, example.instruction
    if not ("=" in output or _ASKS.match(instruction)) or not _DIGIT.search(output):
        return None
    prompt = f"{instruction}\n{example.input}"
    if _OTHER_RULES.search(prompt):
        return None
    allowed = notations(f"{prompt}\n{output}")
    answered = [_answered(example, notation) for notation in allowed]
    if all(answered):
        return answered[0]
    return next(_written(output, prompt, allowed), None)


def _written(output: str, prompt: str, allowed: Sequence[Notation]) -> Iterator[WrongArithmetic]:
    """Equations in the output that do not hold; those that the prompt has brought are not the output's fault, and what is
    a percentage more or less can be read in two ways."""
    if "=" not in output:
        return
    known = re.sub(r"\s", "", prompt)
    for found in _EQUATION.finditer(output):
        left, right = found["left"], found["right"]
        if not _BEFORE.search(
            output[max(0, found.start() - 40) : found.start()]
        ) or not _AFTER.match(output, found.end()):
            continue
        if (
            re.sub(r"\s", "", left) + "=" in known
            and re.sub(r"\s", "", right) in known
            or "%" in left
            and _PLUS_OR_MINUS.search(left)
        ):
            continue
        exact = [
            (value, notation)
            for notation in allowed
            if notation.value(right) is not None
            for value in (value_of(left, notation), _one_by_one(left, notation))
            if value is not None
        ]
        if (
            exact
            and not any(_same(value, right, notation) for value, notation in exact)
            and not _VAGUE.search(output[found.end() : found.end() + 12])
        ):
            yield WrongArithmetic(left.strip(), exact[0][0], right)


def _answered(example: Example, notation: Notation) -> WrongArithmetic | None:
    """What the instruction asks to compute, where no figure of a short answer is its value."""
    wanted = _wanted(example, notation)
    if wanted is None or word_count(example.output) > _LONGEST or _VAGUE.search(example.output):
        return None
    asked, exact = wanted
    every = _FIGURE.findall(example.output)
    figures = [figure for figure in every if figure not in _FIGURE.findall(asked)] or every[:1] * (
        len(every) == 1
    )
    if not figures or any(
        _same(exact, figure, notation) or _same(exact, figure.lstrip("-−"), notation)
        for figure in figures
    ):
        return None
    return WrongArithmetic(asked, exact, figures[-1])


def _wanted(example: Example, notation: Notation) -> tuple[str, Fraction] | None:
    """(the computation, its value)."""
    instruction, input = " ".join(example.instruction.split()), example.input.strip()
    if found := _PERCENT_OF.match(instruction):
        share, whole = notation.value(found["share"]), notation.value(found["whole"])
        if share is None or whole is None:
            return None
        return f"{found['share']}% of {found['whole']}", share * whole / 100
    for name, pattern in _OF_LIST.items():
        if (found := pattern.match(instruction)) and bool(found["list"]) != bool(input):
            rows = found["list"] or ((whole_ := _WHOLE_LIST.fullmatch(input)) and whole_["list"])
            return _over(name, rows) if rows else None
    found = (
        _ASKED.match(instruction)
        if not input
        else _ASKED_OF_INPUT.match(instruction) and _ONLY.fullmatch(input)
    )
    if not found or "%" in found["what"]:
        return None
    value = value_of(found["what"], notation)
    return None if value is None else (found["what"], value)


def _over(name: str, rows: str) -> tuple[str, Fraction]:
    numbers = [_number(text) for text in re.findall(rf"[-−]?{_IN_LIST}", rows)]
    return f"the {name} of {' '.join(rows.split())}", _TAKEN[name](numbers)


def _product(numbers: Sequence[Fraction]) -> Fraction:
    value = Fraction(1)
    for number in numbers:
        value *= number
    return value


_TAKEN: dict[str, Callable[[Sequence[Fraction]], Fraction]] = {
    "sum": lambda numbers: sum(numbers, Fraction(0)),
    "product": _product,
    "mean": mean,
    "median": median,
}


def _number(text: str, notation: Notation = POINT) -> Fraction:
    """Raises ValueError where it is none."""
    value = notation.value(text)
    if value is None:
        raise ValueError("not a number in this notation")
    return value


def _same(exact: Fraction, said: str, notation: Notation) -> bool:
    """Is `said` the value, rounded or cut off after as many decimals as it shows, or given in percent?"""
    if "/" in said:
        above, below = map(notation.value, said.split("/"))
        return above is not None and below is not None and below != 0 and exact == above / below
    shown, decimals = notation.value(said), len(notation.split(said.rstrip("%"))[1])
    return shown is not None and any(
        abs(value - shown) < Fraction(1, 10**decimals)
        and (value == shown or (value * 10**decimals).denominator > 1)
        for value in (exact, exact * 100, -exact if "-" in said else exact)
    )


def _plain(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):.6g}"


def _tokens(text: str) -> list[str] | None:
    tokens, at = [], 0
    text = text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            return None
        tokens.append(_SIGNS.get(found[1], found[1]))
        at = found.end()
    return tokens


def value_of(text: str, notation: Notation = POINT) -> Fraction | None:
    """The exact value of an expression in numbers, + - * / ^ and brackets; None where it has none, or is too large."""
    tokens = _tokens(text)
    if not tokens:
        return None
    reader = _Reader(tokens, notation)
    try:
        value = reader.sum()
    except (ValueError, ZeroDivisionError, IndexError):
        return None
    return value if reader.at == len(tokens) else None


class _Reader:
    """Reads tokens by the usual order of operations."""

    def __init__(self, tokens: Sequence[str], notation: Notation) -> None:
        self.tokens, self.at, self.notation = [*tokens, ""], 0, notation

    def sum(self) -> Fraction:
        value = self._product()
        while self._next() in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> Fraction:
        value = self._power()
        while self._next() in ("*", "/"):
            value = value * self._power() if self._take() == "*" else value / self._power()
        return value

    def _power(self) -> Fraction:
        if self._next() == "-":
            self._take()
            return -self._power()
        base = self._atom()
        if self._next() != "^":
            return base
        self._take()
        exponent = self._power()
        if exponent.denominator != 1 or abs(exponent) > _LARGEST_POWER:
            raise ValueError("not a small whole power")
        return base ** int(exponent)

    def _atom(self) -> Fraction:
        token = self._take()
        if token != "(":
            return _number(token, self.notation)
        value = self.sum()
        if self._take() != ")":
            raise ValueError("an open bracket")
        return value

    def _next(self) -> str:
        return self.tokens[self.at]

    def _take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]


def _one_by_one(text: str, notation: Notation) -> Fraction | None:
    """The value from left to right, as a pocket calculator has it: written often enough, and then no slip."""
    tokens = _tokens(text)
    if not tokens or "(" in tokens or "^" in tokens or len(tokens) % 2 == 0:
        return None
    try:
        value = _number(tokens[0], notation)
        for sign, text_ in zip(tokens[1::2], tokens[2::2], strict=True):
            number = _number(text_, notation)
            value = (
                {"+": value + number, "-": value - number, "*": value * number}[sign]
                if sign != "/"
                else value / number
            )
    except (ValueError, ZeroDivisionError, KeyError):
        return None
    return value
