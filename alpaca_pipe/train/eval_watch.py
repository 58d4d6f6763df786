"""Evaluations on the way: when they are due, what they find, and whether the tune goes on after them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.files import read_json, read_jsonl_so_far, write_json, write_jsonl
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.models.scoring import response_losses
from alpaca_pipe.train.best_weights import Best, keep_best
from alpaca_pipe.train.midway import CALIBRATED_OVER, EvalRow, Midway, gained
from alpaca_pipe.train.sharding import is_part
from alpaca_pipe.train.together import as_the_first_says, place_and_count, summed, wait_for_all

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = "eval.jsonl"  # beside loss.jsonl
_EVERY = (
    "eval_every.json"  # in the scratch folder: dollars as steps, so that a resume keeps to them
)


class Evaluations:
    """Those of one tune. log: eval.jsonl; own_attention: what the model is scored with, as `evaluate` scores; told:
    {"evaluated": the row} or {"say": a sentence}. Of several processes each scores its part, and the first writes."""

    def __init__(
        self,
        midway: Midway,
        scratch: Path,
        log: Path,
        which: str,
        own_attention: str,
        told: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._midway, self._scratch, self._log = midway, scratch, log
        self._which, self._own, self._told = which, own_attention, told
        self._every = midway.every
        self._took: list[float] = []  # seconds of steps
        self._best: float | None = None
        self._waited = 0
        self.ended_early = False

    def go_on_from(self, step: int) -> None:
        """What was evaluated after the checkpoint that we go on from will be evaluated again."""
        if self._midway.every is None and (self._scratch / _EVERY).exists():
            self._every = read_json(self._scratch / _EVERY)
        rows = [
            row
            for row in read_jsonl_so_far(self._log)
            if row["which"] != self._which or row["step"] <= step
        ]
        for row in rows:
            if row["which"] == self._which:
                self._weigh(row["eval_loss"])
        wait_for_all()
        if place_and_count()[0] == 0:
            write_jsonl(self._log, rows)

    def took(self, seconds: float) -> None:
        """A step. The first ones say how many a dollar buys; the very first is slower than the others."""
        self._took.append(seconds)
        if self._every is not None or len(self._took) != CALIBRATED_OVER:
            return
        usual = median(self._took[1:])
        self._every = as_the_first_says(self._midway.steps_for(usual))
        if place_and_count()[0] == 0:
            write_json(self._scratch / _EVERY, self._every)
            bought = f"${self._midway.dollars / NANO:g} buys {self._every} steps"
            self._told({"say": f"{bought} of {usual:.2g} s: held-out rows are scored so often"})

    def due(self, step: int, last: int) -> bool:
        return step == last or (self._every is not None and step % self._every == 0)

    def score(self, model: Any, step: int, epoch: float, tokens: int) -> bool:
        """Logs the held-out loss of the model as it is; True where patience has run out."""
        loss = self._loss(model)
        lowest = self._weigh(loss)
        if lowest and self._midway.best:
            keep_best(model, self._scratch, Best(step, loss))
        if place_and_count()[0] == 0:
            rows = len(self._midway.rows)
            row = asdict(
                EvalRow(self._which, step, round(epoch, 4), loss, rows, tokens, self._waited)
            )
            with self._log.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            self._told({"evaluated": row})
        patience = self._midway.patience
        self.ended_early = patience is not None and self._waited >= patience
        return self.ended_early

    def _weigh(self, loss: float) -> bool:
        """Whether it is the lowest so far; patience asks for more, a gain above the threshold (as transformers has it)."""
        gain = gained(loss, self._best, self._midway.threshold)
        lowest = self._best is None or loss < self._best
        self._waited = 0 if gain else self._waited + 1
        self._best = loss if lowest else self._best
        return lowest

    def _loss(self, model: Any) -> float:
        """Nats a learned token over all rows together."""
        parted = any(map(is_part, model.parameters()))
        rank, of = (0, 1) if parted else place_and_count()  # in parts, all compute each layer
        mine = self._midway.rows[rank::of]
        with _as_evaluate_has_it(model, self._own):
            found = response_losses(model, mine) if mine else []
        counts = sum(one.nats for one in found), sum(one.tokens for one in found)
        nats, tokens = counts if parted else summed(*counts)
        return nats / tokens


def eval_watch(evaluations: Evaluations) -> Any:
    """The callback: after the loss of a step is logged and before its checkpoint is written."""
    from transformers import TrainerCallback

    class EvalWatch(TrainerCallback):
        began = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            evaluations.go_on_from(state.global_step)

        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.began = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            evaluations.took(time.monotonic() - self.began)

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any
        ) -> None:
            step = state.global_step
            if "loss" in logs and evaluations.due(step, state.max_steps):
                tokens = state.num_input_tokens_seen
                if evaluations.score(rest["model"], step, state.epoch, tokens):
                    control.should_training_stop = True
                    control.should_save = False  # one that says "stop" would stop its resume

    return EvalWatch()


@contextmanager
def _as_evaluate_has_it(model: Any, own_attention: str) -> Iterator[None]:
    """In eval mode, with the model's own attention; and as it was after that."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    training, attention = model.training, inner.config._attn_implementation
    inner.set_attn_implementation(own_attention)
    model.eval()
    try:
        yield
    finally:
        model.train(training)
        inner.set_attn_implementation(attention)
