"""Whether it learned what was preferred, and more than its controls did."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from alpaca_pipe.align.held_out_margins import Margins
from alpaca_pipe.evaluate.binomial import at_most
from alpaca_pipe.evaluate.proportions import paired_shares, wilson

LEAST = 6  # held-out prompts; below that nothing can be shown
# Held-out prompts in which a true share of 60 % is called above a half 4 times in 5, by the binomial.
PROMPTS_TO_SHOW, _SHOWN = 210, 0.6
_SURE = 0.025  # of "better" and of "worse" where there is nothing, each
_CALLED = {
    "sft": "equal steps of SFT on the chosen answers",
    "shuffled": "equal steps on rows whose order is shuffled",
}


def verdict_of(
    found: Mapping[str, Margins], prompts: Sequence[Hashable], controls: Sequence[str]
) -> dict[str, Any]:
    """found: model -> margins on the same held-out rows; prompts: of each row. {verdict, sentence, compared, accuracy: model -> {mean, lo, hi}, margin:
    model -> mean, beyond: control -> {mean, lo, hi}}: better where the share of prompts that go the right way (held_out_margins.py) is above a half and
    above that of every control, each by a sign test (2.5 %; ties say nothing); worse where it is below one of them (2.5 % of all together)."""
    votes = {name: one.votes(prompts) for name, one in found.items()}
    own = votes["aligned"]
    asked = len(own)
    share = {name: wilson(sum(of), asked) for name, of in votes.items()}
    beyond = {name: paired_shares(own, votes[name]) for name in controls}
    against = [_apart(own, [0.5] * asked), *(_apart(own, votes[name]) for name in controls)]
    if asked < LEAST:
        verdict = "not shown"
    elif all(at_most(of - above, of) <= _SURE for above, of in against):
        verdict = "better"
    elif any(at_most(above, of) <= _SURE / len(against) for above, of in against):
        verdict = "worse"
    else:
        verdict = "not shown"
    return {
        "verdict": verdict,
        "sentence": _sentence(verdict, asked, share["aligned"], beyond),
        "compared": asked,
        "accuracy": {name: one.rounded() for name, one in share.items()},
        "margin": {name: round(one.mean, 6) for name, one in found.items()},
        "beyond": {name: one.rounded() for name, one in beyond.items()},
    }


def _sentence(verdict: str, asked: int, own: Any, beyond: Mapping[str, Any]) -> str:
    said = (
        f"{own.mean:.0%} [{own.lo:.0%}, {own.hi:.0%}] of {asked} held-out prompts go the right way"
    )
    against = "; ".join(
        f"{one.mean:+.0%} [{one.lo:+.0%}, {one.hi:+.0%}] against {_CALLED[name]}"
        for name, one in beyond.items()
    )
    why = f" ({LEAST} prompts are the least that could show anything)" if asked < LEAST else ""
    if verdict == "not shown" and LEAST <= asked < PROMPTS_TO_SHOW:
        why = f" (too few prompts to say: {PROMPTS_TO_SHOW} show {_SHOWN:.0%} going the right way 4 times in 5)"
    return f"align: {verdict}{why}: {said}{'; ' * bool(against)}{against}"


def _apart(one: Sequence[float], other: Sequence[float]) -> tuple[int, int]:
    """Of prompts on which the two differ, how many speak for `one`, and how many there are (sign test)."""
    differing = [mine > theirs for mine, theirs in zip(one, other, strict=True) if mine != theirs]
    return sum(differing), len(differing)
