"""What a tune changed beside the loss, line by line, and which lines got worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from alpaca_pipe.evaluate.bootstrap import Interval
from alpaca_pipe.evaluate.least_difference import SHARE, direction
from alpaca_pipe.evaluate.proportions import paired_shares, z_of

ChangeWord = Literal[
    "better",
    "worse",
    "maybe better",
    "maybe worse",
    "within the noise",
    "no difference",
    "no difference shown",
]


class ShareChange(NamedTuple):
    """A share of rows, base and tuned, on the same rows. difference: tuned - base, above 0 is good, 95 %; wide: the same for
    all lines at once; noise: how far the base differs from itself, asked another way; least: the smallest difference that
    counts."""

    suite: str
    name: str
    rows: int
    base: float
    tuned: float
    difference: Interval
    wide: Interval
    noise: float = 0.0
    least: float = SHARE.least

    @property
    def word(self) -> ChangeWord:
        """Worse, or better: beyond the noise, and sure among all lines; maybe: sure only if it were the only line. No difference:
        sure to be none that counts."""
        seen, sure = (direction(one, self.least, SHARE) for one in (self.difference, self.wide))
        if seen == "unsure":
            return "no difference shown"
        if seen == "no difference":
            return seen
        if abs(self.difference.mean) <= self.noise:
            return "within the noise"
        if sure == seen:
            return seen
        return "maybe better" if seen == "better" else "maybe worse"

    def to_row(self) -> dict[str, Any]:
        return {
            "suite": self.suite,
            "name": self.name,
            "rows": self.rows,
            "base": round(self.base, 4),
            "tuned": round(self.tuned, 4),
            "difference": self.difference.rounded(),
            "noise": round(self.noise, 4),
            "min_difference": self.least,
            "word": self.word,
        }


class Line(NamedTuple):
    """Yes or no of each row, base and tuned; yes is good."""

    suite: str
    name: str
    base: Sequence[bool]
    tuned: Sequence[bool]
    noise: float = 0.0


def changes(lines: Iterable[Line], least: float = SHARE.least) -> list[ShareChange]:
    """All lines that one reader will see, of whatever suites: each is one more look that may find something by chance. Lines
    without a row are left out."""
    found = [line for line in lines if line.base]
    z = z_of(looks=len(found))
    return [
        ShareChange(
            line.suite,
            line.name,
            len(line.base),
            sum(line.base) / len(line.base),
            sum(line.tuned) / len(line.tuned),
            paired_shares(line.tuned, line.base),
            paired_shares(line.tuned, line.base, z),
            line.noise,
            least,
        )
        for line in found
    ]


def what_got_worse(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], str]:
    """(a sentence for each line that did or may have, one for all). rows: of `ShareChange.to_row`."""
    worse = [row for row in rows if row["word"] == "worse"]
    maybe = [row for row in rows if row["word"] == "maybe worse"]
    told = [_told(row) for row in (*worse, *maybe)]
    if not told:
        return [], f"nothing of {len(rows)} things measured is shown to be worse"
    names = ", ".join(row["name"] for row in worse) or "nothing for sure"
    perhaps = f"; perhaps {', '.join(row['name'] for row in maybe)}" if maybe else ""
    return told, f"got worse: {names}{perhaps} (of {len(rows)} things measured)"


def _told(row: Mapping[str, Any]) -> str:
    gap = row["difference"]
    maybe = " (one in twenty lines shows as much by chance)" if row["word"] == "maybe worse" else ""
    return (
        f"{row['suite']}, {row['name']}: {row['base']:.0%} -> {row['tuned']:.0%} of {row['rows']}, "
        f"{gap['mean']:+.0%} [{gap['lo']:+.0%}, {gap['hi']:+.0%}]{maybe}"
    )
