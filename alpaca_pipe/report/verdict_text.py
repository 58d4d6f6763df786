"""The verdict in words that need no training in statistics, each with its figures beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alpaca_pipe.evaluate.bootstrap import Interval
from alpaca_pipe.evaluate.least_difference import LOSS, direction
from alpaca_pipe.evaluate.tail import LEAST as LEAST_ROWS
from alpaca_pipe.report.figures import Point

_RIVALS = {  # evaluate's name -> (label in the figure, role there, what it is in a sentence)
    "base": ("base, same prompt", "base", "the base model, given the same prompt"),
    "chat": (
        "base, own chat prompt",
        "base",
        "the base model, prompted with its own chat template",
    ),
    "shuffled": (
        "tuned on shuffled answers",
        "control",
        "a control trained for as many steps on the same rows, with the answers shuffled among the instructions",
    ),
    "sft": (
        "tuned without the teacher",
        "control",
        "a control trained for as many steps on the same rows, without the teacher's probabilities",
    ),
}


_TONES = {  # of evaluate's words
    "better": ("won", "✓", "beaten"),
    "worse": ("lost", "✗", "lost to"),
    "no difference": ("unsure", "=", "no difference that counts"),
    "unsure": ("unsure", "?", "undecided, for the interval holds 0"),
}


@dataclass(frozen=True)
class Round:
    """Tuned against one rival. tone: won, lost or unsure."""

    tone: str
    mark: str
    sentence: str


@dataclass(frozen=True)
class VerdictText:
    """tone: better, worse or ""; foreign: what is said of others' rows, or that none were scored; points: (label, role, loss)
    for the figure, best first."""

    tone: str
    headline: str
    lead: str
    foreign: str = ""
    method: str = ""
    rounds: tuple[Round, ...] = ()
    points: tuple[tuple[str, str, Point], ...] = ()


def in_words(verdict: Mapping[str, Any] | None, outcome: str) -> VerdictText:
    """evaluate's verdict.json; None where there is none yet."""
    if not verdict or not verdict.get("loss", {}).get("tuned"):
        end = {"failed": "The run failed", "stopped": "The run was stopped"}.get(
            outcome, "The run is not complete"
        )
        return VerdictText(
            "",
            "No verdict yet",
            f"{end}: the tuned model has not been compared with the base. What is here "
            "so far is below; the same command continues from there.",
        )
    word = str(verdict.get("verdict", ""))
    losses = {name: _point(loss) for name, loss in verdict["loss"].items()}
    points = [
        (*_RIVALS.get(name, (name, name))[:2], loss)
        for name, loss in losses.items()
        if name in (*_RIVALS, "tuned") and _is_number(loss)
    ]
    return VerdictText(
        {"better": "better", "worse": "worse"}.get(word, ""),
        _headline(verdict),
        _lead(verdict, losses),
        _foreign(verdict),
        _method(verdict),
        tuple(_rounds(verdict)),
        tuple(sorted(points, key=lambda point: -point[2].mean)),
    )


def _headline(verdict: Mapping[str, Any]) -> str:
    """Of a verdict of before 2026-12 it is not known whose rows the held-out ones were."""
    if few := _too_few(verdict):
        whose = f" on {verdict['rows_of']}" if "rows_of" in verdict else ""
        return f"Too few rows to say whether the tuned model is better{whose}: {few}"
    said = {
        "better": "The tuned model is better than the base",
        "worse": "The tuned model is worse than the base"
        if "base" in _lost(verdict)
        else "The tuned model loses to a control",
    }.get(str(verdict.get("verdict", "")), "The tuned model is not shown to be better")
    return f"{said} on {verdict['rows_of']}" if "rows_of" in verdict else said


def _foreign(verdict: Mapping[str, Any]) -> str:
    """Better on the rows of its own teacher is not better on others'."""
    if not (found := verdict.get("foreign")):
        if "rows_of" not in verdict:
            return ""
        return "Whether it is better on the rows of others was not measured (evaluate.foreign)."
    gap = found["difference"].get("base")
    figures = ""
    if gap and _is_number(_point(gap)):
        figures = f" ({_signed(gap['mean'])} [{_signed(gap['lo'])}, {_signed(gap['hi'])}] against the base)"
    known = found.get("not_scored", {}).get("trained_on", 0)
    left = f" {known} rows that were trained on too are left out." if known else ""
    if few := _too_few(found):
        whose = found["rows_of"].replace("foreign rows", "rows of others")
        return f"On {whose}, too few rows to say: {few}.{left}"
    words = {"better": "it is better", "worse": "it is worse"}
    return (
        f"On {found['rows']} {found['rows_of'].replace('foreign rows', 'rows of others')}, "
        f"{words.get(found['verdict'], 'it is not shown to be better')}{figures}.{left}"
    )


def _too_few(verdict: Mapping[str, Any]) -> str:
    """How many there are and how many would do; "" where there are enough to say anything."""
    rows = verdict.get("rows", LEAST_ROWS)
    if rows >= LEAST_ROWS:
        return ""
    wanted = (verdict.get("rows_needed") or {}).get("base") or 0
    more = ""
    if wanted > LEAST_ROWS:
        least = LOSS.said(verdict["min_difference"])
        more = f", about {wanted:,} to show a difference of {least}"
    return f"{rows}, and at least {LEAST_ROWS} are needed{more}"


def _lead(verdict: Mapping[str, Any], losses: Mapping[str, Point]) -> str:
    rows = verdict.get("rows", 0)
    difference = verdict.get("difference", {}).get("base")
    if "base" not in losses or not difference or not _is_number(_point(difference)):
        return str(verdict.get("sentence", ""))
    gap = _point(difference)
    went = "fell" if gap.mean < 0 else "rose"
    low, high = sorted((-gap.lo, -gap.hi)) if gap.mean < 0 else (gap.lo, gap.hi)
    times = math.exp(abs(gap.mean))
    odds = (
        f"{times:.2f} times as likely as before"
        if gap.mean < 0
        else f"{times:.2f} times less likely than before"
    )
    sure = f"95 % interval {_plain(low)} to {_plain(high)}"
    return (
        f"On {rows} examples that it never saw, its loss {went} from {losses['base'].mean:.3f} to "
        f"{losses['tuned'].mean:.3f} nats per token: by {abs(gap.mean):.3f} ({sure}). "
        f"On average the right next token became {odds}.{_controls(verdict)}"
    )


def _controls(verdict: Mapping[str, Any]) -> str:
    beaten = {name: word == "better" for name, word in _words(verdict).items() if name != "base"}
    if len(beaten) == 2 and all(beaten.values()):
        return " It also beats both controls, so the gain is more than a better prompt or the mere form of the answers."
    lost = [_RIVALS[name][2] for name in _lost(verdict) if name in beaten and name in _RIVALS]
    if lost:
        begins = "It also" if "base" in _lost(verdict) else "But it"
        return f" {begins} loses to {' and to '.join(lost)}."
    open_ = [_RIVALS[name][2] for name, won in beaten.items() if not won and name in _RIVALS]
    if open_:
        return f" But it does not clearly beat {' nor '.join(open_)}."
    if _words(verdict).get("base") == "better" and not verdict["difference"].keys() & {
        "shuffled",
        "sft",
    }:
        return (
            " But no control was trained, so the gain may come from the form of the answers alone."
        )
    return ""


def _lost(verdict: Mapping[str, Any]) -> list[str]:
    return [name for name, word in _words(verdict).items() if word == "worse"]


def _words(verdict: Mapping[str, Any]) -> dict[str, str]:
    """Against each rival. An older verdict knew no smallest difference."""
    least = float(verdict.get("min_difference", 0))
    return {
        name: direction(Interval(*_point(gap)), least)
        for name, gap in verdict.get("difference", {}).items()
    }


def _rounds(verdict: Mapping[str, Any]) -> Iterator[Round]:
    for name, found in verdict.get("difference", {}).items():
        gap = _point(found)
        who = _RIVALS.get(name, (name, "base", name))[2]
        if not _is_number(gap):
            yield Round("unsure", "?", f"Against {who}: a loss is not a number.")
            continue
        tone, mark, says = _TONES[_words(verdict)[name]]
        yield Round(
            tone,
            mark,
            f"Against {who}: {_signed(gap.mean)} [{_signed(gap.lo)}, {_signed(gap.hi)}], {says}.",
        )
    for name, why in (verdict.get("missing") or {}).items():
        yield Round(
            "unsure", "–", f"Not compared with {_RIVALS.get(name, (name, '', name))[2]}: {why}."
        )


def _method(verdict: Mapping[str, Any]) -> str:
    tokens = f" ({verdict['tokens']:,} answer tokens)" if verdict.get("tokens") else ""
    left_out = (
        f" {verdict['left_out']} rows were too long for one of them and left out for all."
        if verdict.get("left_out")
        else ""
    )
    return (
        f"Loss on the answers of {verdict.get('rows', 0)} held-out rows{tokens}, the same rows for all. "
        "A difference is tuned minus rival, so below 0 is good. Intervals: 95 %, over rows, paired: the widest of three methods."
        f"{left_out}{_least(verdict)}"
    )


def _least(verdict: Mapping[str, Any]) -> str:
    """The smallest difference that counts, and how many rows would show it."""
    if not (least := verdict.get("min_difference")):
        return ""
    said = f" A difference of less than {LOSS.said(least)} does not count"
    wanted = (verdict.get("rows_needed") or {}).get("base", 0)
    if wanted == 0:
        return f"{said}."
    rows = f"about {wanted:,} rows" if wanted else "more rows than anybody has"
    return f"{said}; one of that size against the base is shown four times in five with {rows}."


def _point(found: Mapping[str, float]) -> Point:
    return Point(found["mean"], found["lo"], found["hi"])


def _is_number(point: Point) -> bool:
    return all(map(math.isfinite, point))


def _plain(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−") if round(value, 3) else "0.000"
