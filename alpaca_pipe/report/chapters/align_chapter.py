"""What learning from preferences did: margins and rewards by step, the distance to where it began, and the controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alpaca_pipe.report import figures
from alpaca_pipe.report.chapters.base import ReportChapter, Told, drawn, with_figures
from alpaca_pipe.report.facts import Facts

_LINES = (
    ("margin", "margin between chosen and rejected answers"),
    ("reward", "reward of its own answers"),
    ("kl", "distance to where it began, by kl"),
    ("length", "tokens of its own answers, by length"),
)
_CALLED = {
    "aligned": "the aligned model",
    "sft": "SFT on the chosen answers",
    "shuffled": "the shuffled order",
}


def alignment(summary: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Told | None:
    """None where nothing was aligned."""
    if not summary:
        return None
    pictures = []
    for key, label in _LINES:
        curves: dict[str, list[tuple[float, float]]] = {}
        for row in steps:
            if key in row and math.isfinite(row[key]) and row["which"] != "reward":
                curves.setdefault(row["which"], []).append((row["step"], row[key]))
        if any(value for points in curves.values() for _, value in points):
            pictures.append(drawn(label, figures.loss_curves(curves, title=label)))
    return with_figures("What it learned from preferences", list(_sentences(summary)), pictures)


def _sentences(told: Mapping[str, Any]) -> Iterator[str]:
    how = "an adapter" if told.get("adapter") else "all weights"
    yield (
        f"Method {told['method']}: {told['steps']} steps on {told['rows']} rows, {how}, rate {told['learning_rate']:g}, "
        f"beta {told['beta']:g}; {told['held_out']} rows of other prompts are held out, {told['left_out']} are left out."
    )
    if sentence := told.get("sentence"):
        yield f"{sentence[0].upper()}{sentence[1:]}."
    for name, share in (told.get("accuracy") or {}).items():
        margin = (told.get("margin") or {}).get(name, 0.0)
        yield (
            f"{_CALLED.get(name, name)}: {share['mean']:.0%} [{share['lo']:.0%}, {share['hi']:.0%}] of held-out prompts the right "
            f"way, mean margin {margin:+.4f}."
        )
    if far := told.get("kl"):
        lengths, ended = told["length"], told["ended"]
        yield (
            f"Distance to where it began: {far['answer']:.3f} nats an answer, {far['token']:.4f} a token, on {told['answers']} "
            f"answers that it drew; they are {lengths['aligned']:.0f} tokens long (before: {lengths['before']:.0f}), and "
            f"{ended['aligned']} of them ended by themselves (before: {ended['before']})."
        )
    if rules := told.get("rules"):
        won = rules["won"]
        yield (
            f"Rules that look at habits alone give those answers {rules['aligned']:.2f} (before: {rules['before']:.2f}) and prefer "
            f"them to those before in {won['mean']:.0%} [{won['lo']:.0%}, {won['hi']:.0%}]."
        )
    if right := told.get("reward_accuracy"):
        yield f"The reward model puts {right['mean']:.0%} [{right['lo']:.0%}, {right['hi']:.0%}] of held-out pairs the right way round."


def _told(facts: Facts) -> Told | None:
    return alignment(facts.aligned, facts.align_steps)


ALIGNMENT = ReportChapter("align", 62, _told)
