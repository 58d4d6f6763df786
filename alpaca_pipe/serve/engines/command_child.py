"""A server that others wrote, as a child of ours: started, waited for, and ended with its whole process group when we end.

Run as a module; speaks to its parent only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from alpaca_pipe.teachers.local.child_process import lifeline

_LOOKS_EVERY = 0.2  # seconds


def main(settings: dict[str, Any]) -> None:
    """settings: command, url (where its API will be), ready (the address that answers 200 when it can be asked), key."""
    server = subprocess.Popen(
        settings["command"], start_new_session=True, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    tell = lifeline(end)
    try:
        while server.poll() is None and not _answers(settings["ready"], settings["key"]):
            time.sleep(_LOOKS_EVERY)
        if server.returncode is None:
            tell({"url": settings["url"], "key": settings["key"]})
        sys.exit(server.wait() or 1)
    finally:
        end()


def _answers(address: str, key: str) -> bool:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
