"""What TRL says of each step beside the loss: margins, rewards, distance, lengths; a line a step in steps.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_jsonl_so_far, write_jsonl

# TRL's names -> ours
_TOLD = {
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "accuracy": "accuracy",
    "margin": "margin",
    "rewards/chosen": "chosen_reward",
    "rewards/rejected": "rejected_reward",
    "mean_reward": "reward",
    "reward": "reward",
    "reward_std": "reward_std",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "length",
    "completions/clipped_ratio": "cut_off",
    "grad_norm": "grad_norm",
}


def steps_watch(log: Path, which: str) -> Any:
    """The callback. Lines of other models are kept; what was logged after the checkpoint that is gone on from comes again."""
    from transformers import TrainerCallback

    class StepsWatch(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            known = read_jsonl_so_far(log)
            write_jsonl(
                log,
                [row for row in known if row["which"] != which or row["step"] <= state.global_step],
            )

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any
        ) -> None:
            if "loss" not in logs:
                return
            told = {ours: logs[name] for name, ours in _TOLD.items() if name in logs}
            row = {"which": which, "step": state.global_step, "loss": logs["loss"], **told}
            with log.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")

    return StepsWatch()
