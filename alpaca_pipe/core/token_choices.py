"""What a teacher might have said in place of each token, with log probabilities: as values, and packed for the ledger.

Packed: a table of the different tokens, for each place how many alternatives it has, their numbers in that table and their log
probabilities (natural logarithm) in thousandths, each column by itself, deflated. A log probability below -32.767 is kept as -32.768.
"""

from __future__ import annotations

import json
import math
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.text import whole

_FORM = 1
_LOWEST = -32768


@dataclass(frozen=True)
class TokenChoice:
    """One place of a reply: the token that was said, and those that might have been, the likeliest first, the said one among
    them where the server counts it so."""

    token: str
    logprob: float
    others: tuple[tuple[str, float], ...] = ()


def pack(choices: Sequence[TokenChoice]) -> bytes:
    """See above."""
    table: dict[str, int] = {}
    counts, numbers, levels = array("H"), array("I"), array("h")
    for one in choices:
        counts.append(min(len(one.others), 0xFFFF))
        for token, logprob in ((one.token, one.logprob), *one.others[:0xFFFF]):
            numbers.append(table.setdefault(token, len(table)))
            levels.append(_level(logprob))
    head = json.dumps([list(table), len(counts)], ensure_ascii=False).encode()
    columns = b"".join(map(_little, (counts, numbers, levels)))
    return bytes([_FORM]) + zlib.compress(len(head).to_bytes(4, "little") + head + columns, 6)


def unpack(data: bytes) -> tuple[TokenChoice, ...]:
    """ValueError for what `pack` did not make."""
    if not data or data[0] != _FORM:
        raise ValueError("packed by another version")
    try:
        plain = zlib.decompress(data[1:])
        size = int.from_bytes(plain[:4], "little")
        tokens, places = json.loads(plain[4 : 4 + size])
        counts, rest = _column("H", plain[4 + size :], places)
        total = places + sum(counts)
        numbers, rest = _column("I", rest, total)
        levels, rest = _column("h", rest, total)
        said = [
            (tokens[number], level / 1000) for number, level in zip(numbers, levels, strict=True)
        ]
    except (zlib.error, ValueError, TypeError, IndexError) as error:
        raise ValueError(f"no packed choices: {error}") from None
    answer, at = [], 0
    for count in counts:
        (token, logprob), *others = said[at : at + count + 1]
        answer.append(TokenChoice(token, logprob, tuple(others)))
        at += count + 1
    return tuple(answer)


def choices_of_chat(said: Any) -> bytes:
    """Packed, of OpenAI's `logprobs` in a chat reply; b"" where there are none, or no list of them."""
    content = said.get("content") if isinstance(said, Mapping) else None
    places = content if isinstance(content, list) else []
    return _packed(
        TokenChoice(*pair, tuple(_pairs(place.get("top_logprobs"), "token", "logprob")))
        for place in places
        if isinstance(place, Mapping) and (pair := _pair(place, "token", "logprob"))
    )


def choices_of_completions(said: Any) -> bytes:
    """The same of the legacy dialect: columns of tokens, log probabilities, and tables of alternatives."""
    if not isinstance(said, Mapping):
        return b""
    columns = [said.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")]
    tokens, logprobs, tables = (column if isinstance(column, list) else [] for column in columns)
    found = []
    for place, (token, logprob) in enumerate(zip(tokens, logprobs, strict=False)):
        if not isinstance(token, str) or _number(logprob) is None:
            continue
        table = tables[place] if place < len(tables) else None
        rows = table.items() if isinstance(table, Mapping) else ()
        others = [
            (whole(str(name)), value) for name, each in rows if (value := _number(each)) is not None
        ]
        found.append(
            TokenChoice(
                whole(token),
                _number(logprob) or 0.0,
                tuple(sorted(others, key=lambda pair: -pair[1])),
            )
        )
    return _packed(found)


def choices_of_gemini(said: Any) -> bytes:
    """The same of Gemini's `logprobsResult`."""
    if not isinstance(said, Mapping):
        return b""
    chosen, tops = said.get("chosenCandidates"), said.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    found = []
    for place, one in enumerate(chosen if isinstance(chosen, list) else ()):
        pair = _pair(one, "token", "logProbability") if isinstance(one, Mapping) else None
        if pair:
            top = tops[place] if place < len(tops) else None
            others = top.get("candidates") if isinstance(top, Mapping) else None
            found.append(TokenChoice(*pair, tuple(_pairs(others, "token", "logProbability"))))
    return _packed(found)


def _packed(choices: Any) -> bytes:
    found = list(choices)
    return pack(found) if found else b""


def _pairs(rows: Any, token: str, logprob: str) -> Iterator[tuple[str, float]]:
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and (pair := _pair(row, token, logprob)):
            yield pair


def _pair(row: Mapping[str, Any], token: str, logprob: str) -> tuple[str, float] | None:
    text, value = row.get(token), _number(row.get(logprob))
    return (whole(text), value) if isinstance(text, str) and value is not None else None


def _number(value: Any) -> float | None:
    """None for what is no number; one out of any range is kept at the range's end."""
    if isinstance(value, bool) or value is None or isinstance(value, str | list | Mapping):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(found) else found


def _level(logprob: float) -> int:
    """Thousandths, within 16 bits; a probability is at most one."""
    return max(_LOWEST, min(0, round(max(logprob, -1e6) * 1000)))


def _little(column: array[int]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _column(code: str, data: bytes, length: int) -> tuple[array[int], bytes]:
    column = array(code)
    size = column.itemsize * length
    if len(data) < size:
        raise ValueError("cut off")
    column.frombytes(data[:size])
    if sys.byteorder == "big":
        column.byteswap()
    return column, data[size:]
