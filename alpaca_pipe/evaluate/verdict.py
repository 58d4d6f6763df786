"""Whether the tuned model may be called better, and the sentence that says why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from alpaca_pipe.evaluate.bootstrap import Interval
from alpaca_pipe.evaluate.least_difference import LOSS, direction
from alpaca_pipe.evaluate.tail import LEAST

Word = Literal["better", "not shown to be better", "worse"]

NAMES = {
    "base": "the base with the same prompt",
    "chat": "the base with its own chat template",
    "shuffled": "the control trained on shuffled answers",
    "sft": "the control trained on the same rows without the teacher",
}

LEAST_ROWS = LEAST  # fewer show too little of a loss's tail: by simulation, see docs/measured.md


class Verdict(NamedTuple):
    word: Word
    sentence: str


class RowsOf(NamedTuple):
    """On whose rows it is said. more: the key that brings more of them."""

    called: str
    more: str


HELD_OUT = RowsOf("held-out rows", "curate.held_out")


def judge(
    means: Mapping[str, Interval],
    differences: Mapping[str, Interval],
    rows: int,
    missing: Mapping[str, str],
    least: float = LOSS.least,
    needed: Mapping[str, int | None] = MappingProxyType({}),
    rows_of: RowsOf = HELD_OUT,
) -> Verdict:
    """'better' only where tuned is lower than the base and both controls, beyond `least`, nats a token: see `direction`.

    differences: tuned - other, for "base" and, where measured, "chat" and "shuffled"; missing: why one was not. A chat
    template that the base does not have need not be beaten and is only named; without the shuffled control, or plain SFT beside a distilled tune, nothing can
    be shown. needed: rows that would show the difference seen, or `least` where that is more, by the other's name. All must hold at once, so no correction for several tests is due. A figure that is no number shows nothing.
    """
    figures = [
        figure for interval in (*means.values(), *differences.values()) for figure in interval
    ]
    words = {name: direction(difference, least) for name, difference in differences.items()}
    above = [name for name, found in words.items() if found == "worse"]
    unsure = [name for name, found in words.items() if found == "unsure"]
    small = [name for name, found in words.items() if found == "no difference"]
    word: Word = "not shown to be better"
    if not all(map(math.isfinite, figures)):
        why = "a loss is not a number: the training diverged"
    elif rows < LEAST_ROWS:
        why = f"too few rows to say: at least {LEAST_ROWS} are needed ({rows_of.more})"
        if None not in needed.values():
            why += _rows_that_would_do(differences, differences, LEAST_ROWS, needed, least)
    elif above:
        word, why = "worse", f"the loss is higher than that of {_against(above, differences)}"
    elif unsure:
        why = f"the difference may be 0 against {_against(unsure, differences)}"
        why += _rows_that_would_do(unsure, differences, rows, needed, least)
    elif small:
        why = f"no difference that counts (less than {LOSS.said(least)}) from {_against(small, differences)}"
    elif not differences.keys() & {"shuffled", "sft"}:
        why = "without the shuffled control the gain may come from the form of the answers alone"
    else:
        word, why = "better", f"lower than {_against(differences, differences)}"
    notes = "".join(
        f"; not compared with {NAMES[name]}: {reason}" for name, reason in missing.items()
    )
    return Verdict(
        word,
        f"{word} on {rows_of.called}: loss {means['base'].mean:.3f} -> {means['tuned'].mean:.3f} "
        f"on {rows} rows; {why}{notes}",
    )


def _rows_that_would_do(
    among: Iterable[str],
    differences: Mapping[str, Interval],
    rows: int,
    needed: Mapping[str, int | None],
    least: float,
) -> str:
    """Of the comparison that needs the most: how many rows, and for which difference."""
    found = {name: needed[name] for name in among if name in needed}
    if not found:
        return ""
    name = max(found, key=lambda one: math.inf if found[one] is None else float(found[one] or 0))
    seen, wanted = abs(differences[name].mean), found[name]
    size = (
        f"{LOSS.said(float(f'{seen:.2g}'))}, as it was seen,"
        if seen > least
        else f"{LOSS.said(least)}, the smallest that counts,"
    )
    if wanted is not None and wanted <= rows:
        return ""
    with_rows = f"about {wanted:,} rows" if wanted else "no number of rows that anybody has"
    return f"; a difference of {size} from {NAMES[name]} would show with {with_rows}"


def _against(names: Iterable[str], differences: Mapping[str, Interval]) -> str:
    return ", ".join(
        f"{NAMES[name]} ({differences[name].mean:+.3f} "
        f"[{differences[name].lo:+.3f}, {differences[name].hi:+.3f}])"
        for name in names
    )
