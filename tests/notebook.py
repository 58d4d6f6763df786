"""A real Jupyter kernel, cell by cell: there an event loop is running already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE


class Kernel:
    """A kernel in a folder, with one cell at a time at work."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(
            kernel_name="python3", cwd=str(folder), startup_timeout=300
        )
        self._cell, self._said, self._idle = "", "", True

    def run(self, cell: str) -> str:
        """What a cell printed, and its value; it must end well."""
        self.begin(cell)
        fault, said = self.ended()
        assert not fault, said
        return said

    def value(self, expression: str) -> Any:
        """Of an expression whose value JSON can hold."""
        return json.loads(self.run(f"import json\nprint(json.dumps({expression}))"))

    def begin(self, cell: str) -> None:
        """Shift-Enter."""
        assert self._idle
        self._said, self._idle = "", False
        self._cell = self.client.execute(cell)

    def until(self, words: str) -> None:
        """Waits for what the cell prints."""
        while words not in self._said:
            assert not self._idle, f"'{words}' was not printed:\n{self._said}"
            self._hear()

    def interrupt(self) -> None:
        """The button with the square on it."""
        self.manager.interrupt_kernel()

    def ended(self) -> tuple[str, str]:
        """The name of the exception that ended the cell, or "", and all that it printed."""
        while not self._idle:
            self._hear()
        while (reply := self.client.get_shell_msg(timeout=PATIENCE)) is not None:
            if reply["parent_header"].get("msg_id") == self._cell:
                break
        return str(reply["content"].get("ename", "")), self._said

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def _hear(self) -> None:
        message = self.client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") != self._cell:
            return
        content = message["content"]
        if message["msg_type"] == "status":
            self._idle = content["execution_state"] == "idle"
        else:
            of_data = content.get("data", {}).get("text/plain", "")
            self._said += str(
                content.get("text") or "\n".join(content.get("traceback", ())) or of_data
            )
