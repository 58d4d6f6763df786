"""Whether the tuned model may be called better, and the sentence that says why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from alpaca_pipe.evaluate.bootstrap import Interval

Word = Literal["better", "not shown to be better", "worse"]

NAMES = {
    "base": "the base with the same prompt",
    "chat": "the base with its own chat template",
    "shuffled": "the tune of equal steps on shuffled answers",
}

_LEAST_ROWS = 6  # with fewer, even rows that all agree do so by chance more than 5 times in 100: 2^(1-n) (sign test)


class Verdict(NamedTuple):
    word: Word
    sentence: str


def judge(
    means: Mapping[str, Interval],
    differences: Mapping[str, Interval],
    rows: int,
    missing: Mapping[str, str],
) -> Verdict:
    """'better' only where the interval of tuned - other lies below 0 against the base and both controls.

    differences: tuned - other, for "base" and, where measured, "chat" and "shuffled"; missing: why one was not. A chat
    template that the base does not have need not be beaten and is only named; without the shuffled control nothing can
    be shown. All must hold at once, so no correction for several tests is due. A figure that is no number shows nothing.
    """
    figures = [
        figure for interval in (*means.values(), *differences.values()) for figure in interval
    ]
    above = [name for name, difference in differences.items() if difference.lo > 0]
    unsure = [
        name for name, difference in differences.items() if difference.lo <= 0 <= difference.hi
    ]
    word: Word = "not shown to be better"
    if not all(map(math.isfinite, figures)):
        why = "a loss is not a number: the training diverged"
    elif rows < _LEAST_ROWS:
        why = f"fewer than {_LEAST_ROWS} rows cannot show anything"
    elif above:
        word, why = "worse", f"the loss is higher than that of {_against(above, differences)}"
    elif unsure:
        why = f"the difference may be 0 against {_against(unsure, differences)}"
    elif "shuffled" not in differences:
        why = "without the shuffled control the gain may come from the form of the answers alone"
    else:
        word, why = "better", f"lower than {_against(differences, differences)}"
    notes = "".join(
        f"; not compared with {NAMES[name]}: {reason}" for name, reason in missing.items()
    )
    return Verdict(
        word,
        f"{word}: held-out loss {means['base'].mean:.3f} -> {means['tuned'].mean:.3f} "
        f"on {rows} rows; {why}{notes}",
    )


def _against(names: Iterable[str], differences: Mapping[str, Interval]) -> str:
    return ", ".join(
        f"{NAMES[name]} ({differences[name].mean:+.3f} "
        f"[{differences[name].lo:+.3f}, {differences[name].hi:+.3f}])"
        for name in names
    )
