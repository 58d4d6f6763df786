"""The rows of one split, where each row names its own in a column and nothing else in the file does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.shapes.base import NotWanted
from alpaca_pipe.data.shapes.keys import plain
from alpaca_pipe.data.shapes.verdicts import SPLIT_KEYS
from alpaca_pipe.data.splits import is_split

OTHER_SPLIT = "other_split"  # the rule under which the other rows are set aside


class SplitColumn:
    """Which rows are of the split that is wanted."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.said: Counter[str] = Counter()  # split -> rows

    def check(self, row: Mapping[str, Any]) -> None:
        """Raises NotWanted for a row of another split, or of none."""
        key = next((key for key in row if isinstance(key, str) and plain(key) in SPLIT_KEYS), None)
        said = row[key] if key is not None else None
        if not isinstance(said, str) or not said.strip():
            raise NotWanted(OTHER_SPLIT, f"it names no split, and '{self.wanted}' is asked for")
        self.said[said] += 1
        if not is_split(said, self.wanted):
            raise NotWanted(OTHER_SPLIT, f"'{key}' is {said!r}, and '{self.wanted}' is asked for")

    def check_any(self, file: str) -> None:
        """Raises UserError where no row is of that split."""
        if any(is_split(said, self.wanted) for said in self.said):
            return
        if not self.said:
            raise UserError(
                f"{file}: the file holds no splits, and no row of it names one", "leave --split out"
            )
        named = [name for name, _ in self.said.most_common(10)]
        raise UserError(
            f"{file}: no row is of the split '{self.wanted}'; they name {', '.join(named)}",
            f"name one of them: --split '{named[0]}'",
        )
