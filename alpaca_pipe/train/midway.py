"""Evaluation on the way: on which rows, how often, and what is made of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.train.config import CHOSEN_ON, TrainConfig
from alpaca_pipe.train.midway_cost import check_billed, rows_scored, steps_between

if TYPE_CHECKING:
    from alpaca_pipe.models.loss_mask import EncodedRow, Encoder

CALIBRATED_OVER = 20  # steps whose time turns dollars into steps


@dataclass(frozen=True)
class Midway:
    """rows: the held-out rows that are scored, as `evaluate` encodes them. every: steps between two evaluations; None: as many
    as `dollars` buy at `per_second` (both nano-dollars). best: the checkpoint of the lowest loss is what is kept. patience:
    evaluations without a gain above `threshold` (nats a token) after which the tune ends; None: never."""

    rows: Sequence[EncodedRow]
    every: int | None
    dollars: int = 0
    per_second: float = 0.0
    best: bool = False
    patience: int | None = None
    threshold: float = 0.0

    def steps_for(self, seconds: float) -> int:
        """Steps of so many seconds that the dollars buy."""
        return max(1, math.floor(self.dollars / (self.per_second * seconds)))


@dataclass(frozen=True)
class EvalRow:
    """One evaluation on the way, as it stands in eval.jsonl. eval_loss: nats a learned token over all `rows` together; tokens:
    trained on so far; waited: evaluations since the last gain, this one included."""

    which: str
    step: int
    epoch: float
    eval_loss: float
    rows: int
    tokens: int
    waited: int


def some_of(examples: Sequence[Example], count: int) -> list[Example]:
    """`count` of them, in their order: by the digests of their ids, so the same ones in whatever order they stand."""
    ordered = sorted(examples, key=lambda row: hashlib.sha256(row.id.encode()).digest())
    taken = {row.id for row in ordered[:count]}
    return [row for row in examples if row.id in taken]


def midway_of(
    config: TrainConfig,
    file: Path,
    folder: Path,
    encoder: Encoder,
    steps: tuple[int, int],
    per_hour: int,
    say: Callable[[str], None],
) -> Midway:
    """What the recipe asks for. file: the held-out rows; steps: of the whole tune and of an epoch; per_hour: nano-dollars. Writes
    chosen_on.jsonl into `folder` where these rows choose the checkpoint. UserError where no row can be scored, and for dollars that no time costs."""
    check_billed(config, per_hour)  # before anything is written
    best = config.keeps_best
    held_out = [Example.from_row(row) for row in read_jsonl(file)]
    examples = some_of(held_out, rows_scored(config, len(held_out)))
    found = list(encoder.encode(examples, config.max_length))
    rows = [row for row in found if not isinstance(row, Rejected)]
    if not rows:
        raise UserError(
            f"train: none of {len(held_out)} held-out rows can be scored on the way",
            "raise curate.held_out or train.max_length, or set train.eval_strategy: no",
        )
    left_out = len(examples) - len(rows)
    say(
        f"{len(rows)} of {len(held_out)} held-out rows are scored on the way"
        + f" ({left_out} are longer than {config.max_length} tokens)" * bool(left_out)
        + "; they choose the checkpoint, so evaluate leaves them out" * best
    )
    if best:
        write_jsonl(folder / CHOSEN_ON, ({"id": row.id} for row in examples))
    return midway_on(rows, config, steps, per_hour)


def midway_on(
    rows: Sequence[EncodedRow], config: TrainConfig, steps: tuple[int, int], per_hour: int
) -> Midway:
    """On these rows, as the recipe asks for it."""
    check_billed(config, per_hour)
    best = config.keeps_best
    return Midway(
        rows,
        steps_between(config, *steps),
        round((config.eval_every_usd or Decimal(0)) * NANO),
        per_hour / 3600,
        best,
        config.early_stopping_patience,
        config.early_stopping_threshold,
    )


def gained(loss: float, best: float | None, threshold: float) -> bool:
    """Whether it is a gain, by the rule of transformers' EarlyStoppingCallback."""
    return best is None or (loss < best and best - loss > threshold)
