"""One of the processes of a tune: `python -m alpaca_pipe.train.worker FOLDER`, started by processes.py."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.out_of_room import room
from alpaca_pipe.teachers.local.child_process import lifeline
from alpaca_pipe.train.job import OUT_OF_MEMORY, TuneJob, perform
from alpaca_pipe.train.processes import JOB, STOP, STOPPED


def main(scratch: Path) -> int:
    """0: done, and of the first process the model is written; STOPPED: saved, as asked; 1: failed."""
    tell = lifeline()
    job: TuneJob = pickle.loads((scratch / JOB).read_bytes())
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    who = f"train, process {int(os.environ['RANK']) + 1} of {os.environ['WORLD_SIZE']}"
    try:
        with room(who, scratch, OUT_OF_MEMORY):
            done = perform(
                job,
                stopping=(scratch / STOP).exists,
                at=lambda step, loss: tell({"step": step, "loss": loss}),
                told=tell,
            )
    except UserError as error:
        tell({"what": error.what, "cure": error.cure})
        return 1
    return 0 if done else STOPPED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
