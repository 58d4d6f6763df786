"""The losses of two runs on the held-out rows that both have: paired, with intervals; or why they do not compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alpaca_pipe.evaluate.bootstrap import Interval, paired
from alpaca_pipe.evaluate.least_difference import LOSS, direction
from alpaca_pipe.evaluate.verdict import LEAST_ROWS
from alpaca_pipe.report.run_files import StageFiles

_SEED = 42
_MODELS = ("base", "tuned")


@dataclass(frozen=True)
class Score:
    """A model's loss in nats a token, on the same rows in both runs. difference: second - first, below 0 is good. least: the
    smallest one that counts, of two runs that name one each the larger."""

    model: str
    rows: int
    first: Interval
    second: Interval
    difference: Interval
    least: float = LOSS.least

    @property
    def word(self) -> str:
        found = direction(self.difference, self.least)
        return "no difference shown" if found in ("unsure", "no difference") else found

    def to_row(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "rows": self.rows,
            "word": self.word,
            "min_difference": self.least,
            "first": self.first.rounded(),
            "second": self.second.rounded(),
            "difference": self.difference.rounded(),
        }


def scores(one: StageFiles, other: StageFiles) -> tuple[tuple[Score, ...], str]:
    """(scores, why there are none). Only rows that were held out in both runs count: neither model was trained on them."""
    if not one.sealed or not other.sealed:
        return (
            (),
            f"{'only one of the runs' if one.sealed or other.sealed else 'neither run'} was evaluated",
        )
    was, now = _losses(one), _losses(other)
    least = max(float(step.summary.get("min_difference", LOSS.least)) for step in (one, other))
    found = []
    for model in _MODELS:
        mine, theirs = was.get(model, {}), now.get(model, {})
        common = [id for id in mine if id in theirs]
        alike = [id for id in common if mine[id][1] == theirs[id][1]]
        if not common:
            return (), (
                f"the runs hold out other rows ({len(mine)} and {len(theirs)}, none in common): the losses do not compare"
            )
        if len(alike) < len(common):
            return (), (
                f"{len(common) - len(alike)} of the {len(common)} rows that both hold out have another number of tokens: "
                "another tokenizer or template, so the losses do not compare"
            )
        if len(alike) < LEAST_ROWS:
            return (
                (),
                f"only {len(alike)} rows are held out in both runs, at least {LEAST_ROWS} are needed to compare them",
            )
        nats = {"first": [mine[id][0] for id in alike], "second": [theirs[id][0] for id in alike]}
        means, differences = paired(nats, [mine[id][1] for id in alike], "second", _SEED)
        found.append(
            Score(model, len(alike), means["first"], means["second"], differences["first"], least)
        )
    return tuple(found), ""


def _losses(step: StageFiles) -> Mapping[str, Mapping[str, tuple[float, int]]]:
    """model -> id -> (nats, tokens)."""
    found: dict[str, dict[str, tuple[float, int]]] = {}
    for row in step.rows("losses.jsonl"):
        found.setdefault(row["model"], {})[row["id"]] = float(row["nats"]), int(row["tokens"])
    return found
