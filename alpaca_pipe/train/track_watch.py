"""The callback that hands a tune's figures to the trackers, by the names that transformers' own callbacks give them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.train.trackers import Trackers, Tracking


def track_watch(tracking: Tracking, told: Callable[[Mapping[str, Any]], None]) -> Any:
    """The callback. Its `heard` is to be told what the evaluations tell. Of several processes the first tracks."""
    from transformers import TrainerCallback

    class TrackWatch(TrainerCallback):
        def __init__(self) -> None:
            self.trackers: Trackers | None = None
            self.began = self.step_began = time.monotonic()
            self.tokens = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.tokens = state.num_input_tokens_seen
            if state.is_world_process_zero:
                say = lambda sentence: told({"say": sentence})
                self.trackers = Trackers(tracking, state.global_step, say)

        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.step_began = time.monotonic()

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any
        ) -> None:
            if self.trackers is None or "loss" not in logs:
                return
            now, tokens = time.monotonic(), state.num_input_tokens_seen
            seconds = max(now - self.step_began, 1e-9)
            figures = {
                f"train/{name}": float(logs[name])
                for name in ("loss", "learning_rate", "grad_norm", "epoch")
                if logs.get(name) is not None
            } | {
                "train/num_input_tokens_seen": float(tokens),
                "train/tokens_per_second": (tokens - self.tokens) / seconds,
                "train/dollars": tracking.per_hour / NANO * (now - self.began) / 3600,
            }
            self.tokens = tokens
            self.trackers.log(state.global_step, figures)

        def close(self) -> None:
            """However the training ended."""
            if self.trackers:
                self.trackers.close()

        def heard(self, word: Mapping[str, Any]) -> None:
            if self.trackers and (row := word.get("evaluated")):
                self.trackers.log(row["step"], {"eval/loss": row["eval_loss"]})
            told(word)

    return TrackWatch()
