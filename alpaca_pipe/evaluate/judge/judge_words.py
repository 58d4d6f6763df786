"""A judge's summary in words: for the terminal, the last lines of a run and the report, which say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.evaluate.proportions import wilson

_STEADY = 0.5  # of the pairs at least: both orders say the same
_BY_PLACE, A_LIKING = "it chooses by place and not by answer", "it likes one place"
_CONTRADICTS = "it contradicts itself more often than not"
_SO = {
    _BY_PLACE: ", so the rate says next to nothing; ask another judge",
    A_LIKING: "; both orders even that out, in ties",
    _CONTRADICTS: ", so the rate says little; ask another judge",
}
_LIKING = 0.1  # further from a half than this, and beyond chance, is a liking for a place


def judge_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """told: `judge` of a summary, also one of before a figure was in it. The rate or the grades, then what is to be known of the
    judge before they are believed."""
    unread = (
        f"; {told['unread_replies']} replies could not be read" if told["unread_replies"] else ""
    )
    if told["mode"] == "grades":
        if gap := told["difference"]:
            mean = told["mean"]
            yield (
                f"{mean['other']:.2f} -> {mean['tuned']:.2f} of 10 on {told['compared']} answers, "
                f"{gap['mean']:+.2f} [{gap['lo']:+.2f}, {gap['hi']:+.2f}]{unread}"
            )
        return
    if told["rate"] is None:
        return
    yield (
        f"tuned preferred in {around(told.get('interval') or told['bootstrap'])} of {told['pairs'] - told['unread']} pairs, "
        f"{even_in_words(told)}{unread}"
    )
    if told["first"] is not None:
        yield f"it {its_choices(told)}{unsteady(told)}"


def around(found: Mapping[str, float]) -> str:
    return f"{found['mean']:.0%} [{found['lo']:.0%}, {found['hi']:.0%}]"


def even_in_words(told: Mapping[str, Any]) -> str:
    """The rate at equal length, or why it is not known."""
    even, says = told["length_controlled"], told.get("length_says", "")
    if even is None:
        return f"at equal length not known: {says}"
    return f"{around(even)} at equal length" + (f" ({says})" if says else "")


def its_choices(told: Mapping[str, Any]) -> str:
    """Of a judge that chose at all."""
    both = "" if told["agreed"] is None else f", the same in both orders of {told['agreed']:.0%}"
    return f"took the answer that stood first in {told['first']:.0%} of its choices{both}"


def unsteady(told: Mapping[str, Any]) -> str:
    """ "" for a judge that can be heard; else, after a colon, what is wrong with it."""
    found = fault(told)
    return f": {found}{_SO[found]}" if found else ""


def fault(told: Mapping[str, Any]) -> str:
    """What is wrong with a judge: one of _SO, or ""."""
    first, agreed = told["first"], told["agreed"]
    choices = told.get("chose") if "chose" in told else 2 * (told["wins"] + told["losses"])
    found = wilson(first * choices, choices) if first is not None and choices else None
    liking = found and abs(first - 0.5) > _LIKING and not found.lo <= 0.5 <= found.hi
    unsteady = agreed is not None and agreed < _STEADY
    if liking:
        return _BY_PLACE if unsteady else A_LIKING
    return _CONTRADICTS if unsteady else ""
