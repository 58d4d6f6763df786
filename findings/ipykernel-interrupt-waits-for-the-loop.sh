#!/usr/bin/env bash
# Guess: the button that interrupts a notebook's cell cancels what the cell awaits within a moment.
# What happens (ipykernel 7.4.0, tornado 6.6.1): the cancellation is put into the running loop without waking it. A cell that only waits
# (for a sleep, or for a thread) goes on to the end of the wait, and is cancelled then; one that wakes now and then is cancelled at once.
# Where it matters: work that a notebook awaits in a thread of its own hears the button only when it is done. The loop has to be woken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ipykernel==7.4.0 jupyter_client==8.10.0 tornado==6.6.1 ipython==9.18.1
IPYTHONDIR="$folder/ipython" "$folder/venv/bin/python" - <<'PY'
import time
from importlib.metadata import version

from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3")


def cancelled_after(wait: str) -> tuple[str, float]:
    """Seconds from the interrupt to the end of the cell, and how it ended."""
    cell = client.execute(f"import asyncio\nprint('waits', flush=True)\n{wait}")
    began, ended = 0.0, "well"
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != cell:
            continue
        if message["msg_type"] == "stream" and not began:
            time.sleep(1)
            manager.interrupt_kernel()
            began = time.monotonic()
        if message["msg_type"] == "error":
            ended = message["content"]["ename"]
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return ended, time.monotonic() - began


once = cancelled_after("await asyncio.sleep(8)")
often = cancelled_after("for _ in range(80): await asyncio.sleep(0.1)")
manager.shutdown_kernel(now=True)
print(f"ipykernel {version('ipykernel')}: a cell of 8 s is interrupted after one second")
print(f"  it waits in one sleep: {once[0]} {once[1]:.1f} s later; in eighty: {often[0]} {often[1]:.1f} s later")
raise SystemExit(0 if once[0] == often[0] == "CancelledError" and once[1] > 5 > 2 > often[1] else 1)
PY
