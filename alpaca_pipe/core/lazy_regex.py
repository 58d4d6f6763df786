"""A regular expression that is compiled when it is first used: a command that only looks compiles few of them."""

from __future__ import annotations

import re
from typing import Any, cast


class _Lazy:
    """Becomes, attribute by attribute, the pattern that it stands for."""

    def __init__(self, pattern: str, flags: int) -> None:
        self._source = pattern, flags

    def __reduce__(self) -> tuple[Any, ...]:
        return lazy_regex, self._source  # a filter travels to other machines

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(*self._source), name)
        setattr(self, name, found)  # the next call finds it without coming here
        return found


def lazy_regex(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """As re.compile, a fault in the pattern being told at its first use."""
    return cast("re.Pattern[str]", _Lazy(pattern, flags))
