"""What each way to a larger model took until it was as good as one that was drawn and trained from the beginning.

Operations are 6 x parameters x tokens, those of LiGO's map added to its curve. What the small model took is counted apart: whoever
has one already has paid for it, and whoever has not pays it for every growth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alpaca_pipe.models.architecture import Architecture

DRAWN = "scratch"
PUBLISHED = {"flops": 0.447, "time": 0.407}  # LiGO, arXiv:2303.00980: BERT-Base from BERT-Small

Curve = Sequence[tuple[float, float]]  # (operations, held-out loss), in order


@dataclass(frozen=True)
class Reached:
    """method: as in `grow:`; start: operations before its first step (of LiGO's map); flops: until the target, None where it never
    was; saved: share of the drawn model's operations, `whole` with those of the small model; last: its last loss; at_once: it was as good at its first evaluation, so that `flops` is
    the most that it can have been."""

    method: str
    start: float
    flops: float | None
    saved: float | None
    whole: float | None
    last: float
    at_once: bool = False


def curves_of(rows: Iterable[Mapping[str, Any]], grown: Mapping[str, Any]) -> dict[str, Curve]:
    """method -> its curve. rows: train's eval.jsonl; grown: the summary of grow."""
    methods = list(grown["methods"])
    a_token = 6 * multiplied(grown["after"])
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        name = methods[0] if row["which"] == "tuned" else row["which"]
        if name in methods:
            point = (starts(grown, name) + a_token * row["tokens"], float(row["eval_loss"]))
            found.setdefault(name, []).append(point)
    return {name: found[name] for name in methods if name in found}


def multiplied(shape: Mapping[str, Any]) -> float:
    """Parameters that a token is multiplied with, of a shape as a summary has it."""
    said = {name: value for name, value in shape.items() if name != "parameters"}
    return float(Architecture(**said).multiplied)


def starts(grown: Mapping[str, Any], method: str) -> float:
    learned: Mapping[str, float] = grown["methods"][method].get("learned", {})
    return float(learned.get("flops", 0.0))


def at_equal_loss(
    curves: Mapping[str, Curve], grown: Mapping[str, Any]
) -> tuple[float, list[Reached]] | None:
    """(the drawn model's last held-out loss, what each way took until it). None where no drawn model was trained beside."""
    drawn = curves.get(DRAWN)
    if not drawn:
        return None
    target, paid = drawn[-1][1], drawn[-1][0]
    small = float((grown.get("base") or {}).get("flops", 0.0))
    found = []
    for name, curve in curves.items():
        flops = operations_at(curve, target)
        extra = 0.0 if name == DRAWN else small
        saved = None if flops is None else 1 - flops / paid
        whole = None if flops is None else 1 - (flops + extra) / paid
        at_once = name != DRAWN and curve[0][1] <= target
        found.append(Reached(name, starts(grown, name), flops, saved, whole, curve[-1][1], at_once))
    return target, found


def operations_at(curve: Curve, target: float) -> float | None:
    """Where a curve first is at a loss or below it, on the straight line between two evaluations. The first evaluation is taken as
    it is: nothing is known before it."""
    before: tuple[float, float] | None = None
    for flops, loss in curve:
        if loss <= target:
            if before is None:
                return flops
            share = (before[1] - target) / (before[1] - loss)
            return before[0] + share * (flops - before[0])
        before = (flops, loss)
    return None
