"""Whether this machine has a core for each process, where there is no GPU for each."""

from __future__ import annotations

import os

from alpaca_pipe.core.errors import UserError


def check_cores(processes: int) -> None:
    """UserError where processes without a GPU each would share cores."""
    cores = os.cpu_count() or 1
    if processes > max(cores, 2):
        raise UserError(
            f"train.processes: {processes}, and this machine has no GPU and {cores} cores",
            "set train.processes: 1, or name the machine that it is for: gpu.name and gpu.count",
        )
