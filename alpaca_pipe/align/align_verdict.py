"""Whether it learned what was preferred, and more than its controls did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alpaca_pipe.align.held_out_margins import Margins
from alpaca_pipe.evaluate.proportions import paired_shares, wilson

LEAST = 6  # held-out rows; below that nothing can be shown
_CALLED = {
    "sft": "equal steps of SFT on the chosen answers",
    "shuffled": "equal steps on rows whose order is shuffled",
}


def verdict_of(found: Mapping[str, Margins], controls: Sequence[str]) -> dict[str, Any]:
    """found: model -> margins on the same held-out rows. {verdict, sentence, compared, accuracy: model -> {mean, lo, hi}, margin:
    model -> mean, beyond: control -> {mean, lo, hi}}: better where the share of rows that go the right way is above a half and
    above that of every control, each for sure (95 %)."""
    own = found["aligned"]
    rows = len(own.margins)
    share = {name: wilson(sum(one.right), rows) for name, one in found.items()}
    beyond = {name: paired_shares(own.right, found[name].right) for name in controls}
    intervals = [(share["aligned"].lo - 0.5, share["aligned"].hi - 0.5)]
    intervals += [(one.lo, one.hi) for one in beyond.values()]
    if rows < LEAST:
        verdict = "not shown"
    elif all(lo > 0 for lo, _ in intervals):
        verdict = "better"
    elif any(hi < 0 for _, hi in intervals):
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
    return f"align: {verdict}{why}: {said}{'; ' * bool(against)}{against}"
