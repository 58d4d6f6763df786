"""Whether it learned what was preferred, and more than its controls did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, lgamma, log
from typing import Any

from alpaca_pipe.align.held_out_margins import Margins
from alpaca_pipe.evaluate.proportions import paired_shares, wilson

LEAST = 6  # held-out rows; below that nothing can be shown
# Held-out rows in which a true share of 60 % is called above a half 4 times in 5, by the binomial.
ROWS_TO_SHOW, _SHOWN = 210, 0.6
_SURE = 0.025  # of "better" and of "worse" where there is nothing, each
_CALLED = {
    "sft": "equal steps of SFT on the chosen answers",
    "shuffled": "equal steps on rows whose order is shuffled",
}


def verdict_of(found: Mapping[str, Margins], controls: Sequence[str]) -> dict[str, Any]:
    """found: model -> margins on the same held-out rows. {verdict, sentence, compared, accuracy: model -> {mean, lo, hi}, margin:
    model -> mean, beyond: control -> {mean, lo, hi}}: better where the share of rows that go the right way is above a half and
    above that of every control, each by a sign test (2.5 %); worse where it is below one of them (2.5 % of all together)."""
    own = found["aligned"]
    rows = len(own.margins)
    share = {name: wilson(sum(one.right), rows) for name, one in found.items()}
    beyond = {name: paired_shares(own.right, found[name].right) for name in controls}
    against = [(sum(own.right), rows)]
    against += [_apart(own.right, found[name].right) for name in controls]
    if rows < LEAST:
        verdict = "not shown"
    elif all(_chance(above, of) <= _SURE for above, of in against):
        verdict = "better"
    elif any(_chance(of - above, of) <= _SURE / len(against) for above, of in against):
        verdict = "worse"
    else:
        verdict = "not shown"
    return {
        "verdict": verdict,
        "sentence": _sentence(verdict, rows, share["aligned"], beyond),
        "compared": rows,
        "accuracy": {name: one.rounded() for name, one in share.items()},
        "margin": {name: round(one.mean, 6) for name, one in found.items()},
        "beyond": {name: one.rounded() for name, one in beyond.items()},
    }


def _sentence(verdict: str, rows: int, own: Any, beyond: Mapping[str, Any]) -> str:
    said = f"{own.mean:.0%} [{own.lo:.0%}, {own.hi:.0%}] of {rows} held-out preferences go the right way"
    against = "; ".join(
        f"{one.mean:+.0%} [{one.lo:+.0%}, {one.hi:+.0%}] against {_CALLED[name]}"
        for name, one in beyond.items()
    )
    why = f" ({LEAST} rows are the least that could show anything)" if rows < LEAST else ""
    if verdict == "not shown" and LEAST <= rows < ROWS_TO_SHOW:
        why = f" (too few rows to say: {ROWS_TO_SHOW} show {_SHOWN:.0%} going the right way 4 times in 5)"
    return f"align: {verdict}{why}: {said}{'; ' * bool(against)}{against}"


def _apart(one: Sequence[bool], other: Sequence[bool]) -> tuple[int, int]:
    """Of rows on which the two differ, how many speak for `one`, and how many there are (McNemar)."""
    differing = [mine for mine, theirs in zip(one, other, strict=True) if mine != theirs]
    return sum(differing), len(differing)


def _chance(above: int, of: int) -> float:
    """That a fair coin falls so `above` or oftener in `of` throws."""
    ways = lgamma(of + 1) - of * log(2)
    return sum(exp(ways - lgamma(i + 1) - lgamma(of - i + 1)) for i in range(above, of + 1))
