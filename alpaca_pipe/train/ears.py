"""What a tune says while it works, as the user sees it: losses in the progress line, what is worth keeping as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_json, read_jsonl_so_far
from alpaca_pipe.train.best_weights import NOTE
from alpaca_pipe.train.config import FOLDERS
from alpaca_pipe.train.eval_watch import LOG
from alpaca_pipe.train.midway import Midway


class Ears:
    """Of one tune. before: steps of the tunes before it; at and say: as a stage's progress has them."""

    def __init__(
        self,
        which: str,
        before: int,
        at: Callable[[int, str], None],
        say: Callable[[str], None],
    ) -> None:
        self._which, self._before, self._at, self._say = which, before, at, say
        self._held_out = ""

    def step(self, step: int, loss: float) -> None:
        self._at(self._before + step, f"{self._which}, loss {loss:.3f}{self._held_out}")

    def told(self, word: Mapping[str, Any]) -> None:
        """{"evaluated": a row of eval.jsonl} or {"say": a sentence}."""
        if row := word.get("evaluated"):
            self._held_out = f", held-out {row['eval_loss']:.3f}"
            self._at(
                self._before + row["step"], f"{self._which}, step {row['step']}{self._held_out}"
            )
        if sentence := word.get("say"):
            self._say(sentence)

    def kept(self, best: Mapping[str, Any]) -> None:
        self._say(
            f"{self._which}: the weights of step {best['step']} are kept (held-out loss {best['eval_loss']:.3f})"
        )


def on_the_way(midway: Midway | None, folder: Path, steps: int) -> dict[str, Any]:
    """For the stage's summary, of a tune of so many steps: evaluated (rows, and which -> {first, last} held-out loss), kept (which -> step and held-out
    loss of the weights that were kept), ended_early (which -> the step at which patience ran out). Only what there is."""
    if midway is None:
        return {}
    rows = list(read_jsonl_so_far(folder / LOG))
    each = {which: [row for row in rows if row["which"] == which] for which in FOLDERS}
    losses = {
        which: {"first": round(its[0]["eval_loss"], 4), "last": round(its[-1]["eval_loss"], 4)}
        for which, its in each.items()
        if its
    }
    kept = {
        which: read_json(note)
        for which, name in FOLDERS.items()
        if (note := folder / name / NOTE).exists()
    }
    ended = {
        which: its[-1]["step"] for which, its in each.items() if its and its[-1]["step"] < steps
    }
    found = {"evaluated": {"rows": len(midway.rows), "loss": losses}}
    return found | ({"kept": kept} if kept else {}) | ({"ended_early": ended} if ended else {})
