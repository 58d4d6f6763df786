"""The loss on held-out rows: the teacher's own, or of the set that was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import write_json, write_jsonl
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.evaluate.row_losses import as_rows, by_contestant, score, verdict_on, work
from alpaca_pipe.evaluate.verdict import RowsOf


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    return work(contestant, given.rows)


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> dict[str, Any]:
    return score(loaded, given.rows, given.config.batch_tokens)


def own_rows(examples: Sequence[Example]) -> RowsOf:
    """Whose the held-out rows are: what is better on them need not be so on others'."""
    imported = all(row.origin.kind == "imported" for row in examples)
    return RowsOf(
        "rows of the set it was trained on" if imported else "its teacher's own rows",
        "curate.held_out",
    )


def _conclude(said: Mapping[str, Any], given: EvaluationInputs, folder: Path) -> dict[str, Any]:
    """Writes losses.jsonl, left_out.jsonl and verdict.json, which is its part of the summary."""
    losses = by_contestant(said)
    summary = verdict_on(losses, given.rows, given, own_rows(given.rows.examples))
    write_jsonl(folder / "losses.jsonl", as_rows(losses, given.rows))
    left_out = (rejected.to_row() for rejected in given.rows.left_out)
    write_jsonl(folder / "left_out.jsonl", left_out)
    write_json(folder / "verdict.json", summary)
    return summary


LOSSES = Evaluation("losses", 10, _work, _ask, _conclude)
