"""What looks on while a model is tuned: it logs each step, saves often enough, and stops once everything is saved."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl_so_far, write_jsonl
from alpaca_pipe.train.resume import mark_whole
from alpaca_pipe.train.together import as_the_first_says, wait_for_all

_SAVE_SHARE = 0.05  # of the time may go into checkpoints ...
_SAVE_AT_MOST_EVERY = (
    20.0  # ... but a kill should not cost less than this many seconds of work either
)
_BYTES_TRAINED = 12  # a parameter in a checkpoint: itself and AdamW's two moments, fp32
_WRITTEN = 1e9  # bytes a second, until one was written


def watch(
    scratch: Path,
    log: Path,
    which: str,
    stopping: Callable[[], bool],
    at: Callable[[int, float], None],
    save_steps: int | None = None,
    save_total_limit: int = 1,
) -> Any:
    """The callback; see sft.tune for what it is given. Of several processes the first decides, logs and marks."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def __init__(self) -> None:
            self.began = self.saved = time.monotonic()
            self.cost = 0.0  # seconds the last checkpoint took, or the first one will

        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            """What was logged after the checkpoint that we go on from will be logged again."""
            trained = sum(one.numel() for one in rest["model"].parameters() if one.requires_grad)
            self.cost = trained * _BYTES_TRAINED / _WRITTEN
            if not state.is_world_process_zero:
                return
            known = [
                row
                for row in read_jsonl_so_far(log)
                if row["which"] != which or row["step"] <= state.global_step
            ]
            write_jsonl(log, known)

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any
        ) -> None:
            if "loss" not in logs:
                return
            if not math.isfinite(logs["loss"]):
                raise _diverged(which, state.global_step, logs["loss"], args.learning_rate)
            if state.is_world_process_zero:
                row = {
                    "which": which,
                    "step": state.global_step,
                    "loss": logs["loss"],
                    "learning_rate": logs["learning_rate"],
                    "tokens": state.num_input_tokens_seen,
                }
                with log.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
                at(state.global_step, logs["loss"])

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            wanted = as_the_first_says(self._due(state.global_step) or stopping())
            if state.global_step < state.max_steps and wanted:
                control.should_save = True
                self.began = time.monotonic()

        def _due(self, step: int) -> bool:
            if save_steps is not None:
                return step % save_steps == 0
            since = time.monotonic() - self.saved
            return since > max(_SAVE_AT_MOST_EVERY, self.cost / _SAVE_SHARE)

        def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            wait_for_all()
            if state.is_world_process_zero:
                mark_whole(scratch, state.global_step, save_total_limit, which, log.parent)
            self.saved = time.monotonic()
            self.cost = self.saved - self.began
            # only here: a checkpoint remembers the control, and one that says "stop" would stop its resume
            control.should_training_stop = bool(as_the_first_says(stopping()))

    return Watch()


def _diverged(which: str, step: int, loss: float, rate: float) -> UserError:
    return UserError(
        f"train: the loss of step {step} of the {which} model is not a number ({loss}): the training has diverged",
        f"lower train.learning_rate (here {rate:g}), or look for broken weights in the base",
    )
