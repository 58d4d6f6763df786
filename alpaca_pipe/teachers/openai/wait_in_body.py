"""The wait that a server asks for where no header says it: in the error's own words, or in Google's RetryInfo."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.outside_numbers import MONTH, number_in

_DEEPEST = 6  # levels of an error's JSON
_FIELDS = {"retrydelay": 1.0, "retry_after": 1.0, "retryafter": 1.0, "retry_after_seconds": 1.0}
_FIELDS |= {"retry_after_ms": 1e-3, "retryafterms": 1e-3}
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SPAN = r"((?:\d+(?:\.\d+)?\s*(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b\s*)+)"
_SAID = re.compile(rf"(?i)\b(?:try again|retry|wait|available|reset\w*)\b[^.\d]{{0,40}}{_SPAN}")
_PART = re.compile(r"(?i)(\d+(?:\.\d+)?)\s*(ms|milli|[smh])")


def wait_in_body(body: Any, text: str) -> float | None:
    """Seconds; None where neither a field nor a sentence says so. body: the error's JSON; text: its words."""
    for name, value in _fields(body):
        factor = _FIELDS.get(name.lower().replace("-", "_"))
        if factor is not None and (seconds := _seconds(value, factor)) is not None:
            return seconds
    found = _SAID.search(text)
    return spelled(found[1]) if found else None


def spelled(span: str) -> float | None:
    """`44s`, `7.66s`, `1m12.5s`, `120ms`, `20 seconds` in seconds."""
    parts = _PART.findall(span)
    if not parts:
        return None
    total = sum(
        float(number[:12]) * _UNITS["ms" if unit.lower() in ("ms", "milli") else unit.lower()]
        for number, unit in parts
    )
    return total if total <= MONTH else None


def _seconds(value: Any, factor: float) -> float | None:
    if isinstance(value, str) and not value.strip().replace(".", "", 1).isdigit():
        return spelled(value)
    number = number_in(str(value), most=MONTH / factor)
    return None if number is None else number * factor


def _fields(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, Mapping | list):
                yield from _fields(inner, depth + 1)
            else:
                yield str(name), inner
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner, depth + 1)
