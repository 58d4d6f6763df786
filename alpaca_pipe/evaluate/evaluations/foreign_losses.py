"""The loss on rows of others: whether what was learned helps beyond the rows of its own teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_json, write_json, write_jsonl
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.evaluate.foreign_rows import KEY
from alpaca_pipe.evaluate.row_losses import as_rows, by_contestant, score, verdict_on, work
from alpaca_pipe.evaluate.verdict import RowsOf


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    return work(contestant, given.foreign.rows) if given.foreign else 0


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> dict[str, Any]:
    if given.foreign is None:
        return {}
    return score(loaded, given.foreign.rows, given.config.batch_tokens)


def _conclude(said: Mapping[str, Any], given: EvaluationInputs, folder: Path) -> dict[str, Any]:
    """Writes foreign_losses.jsonl, and into verdict.json `foreign`, its part of the summary: the same figures as those of the
    held-out rows, and how many rows of the file were not scored."""
    if given.foreign is None:
        return {}
    losses, rows = by_contestant(said), given.foreign.rows
    write_jsonl(folder / "foreign_losses.jsonl", as_rows(losses, rows))
    whose = RowsOf(f"foreign rows ({given.foreign.found.name})", KEY)
    summary = verdict_on(losses, rows, given, whose) | given.foreign.found.to_summary()
    write_json(folder / "verdict.json", read_json(folder / "verdict.json") | {"foreign": summary})
    return {"foreign": summary}


FOREIGN = Evaluation("foreign", 15, _work, _ask, _conclude)
