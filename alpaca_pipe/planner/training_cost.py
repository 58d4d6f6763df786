"""What pre-training and tuning take, for claims and tables: the arithmetic is models/fit.py's, the same as `plan`'s."""

from __future__ import annotations

from alpaca_pipe.models.fit import file_bytes, flop_a_token, gpu_hours, training_flops
from alpaca_pipe.train.cost_estimate import Job

__all__ = ["file_bytes", "flop_a_token", "gpu_hours", "training_flops", "tuned_tokens"]


def tuned_tokens(job: Job) -> float:
    """Tokens that one tune is trained on, its epochs counted: what providers of tuning bill. Without the control."""
    return job.tokens
