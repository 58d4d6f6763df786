"""The conversation in a real terminal: a process of its own on a pty, typed at and interrupted."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alpaca_pipe.chat.piped import plain
from alpaca_pipe.recipe.workspace import Workspace

_PATIENCE = 120.0  # seconds; only a hang takes so long


# Where the tests run behind a shell's `&`, Ctrl-C is ignored, and children inherit that; at a terminal it never is.
CHILD = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from alpaca_pipe.cli import main
main()
"""


class Typist:
    """Reads what the terminal shows and types into it."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._own, theirs = pty.openpty()
        environment = os.environ | {"COLUMNS": "100", "TERM": "xterm", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdin=theirs, stdout=theirs,
                                        stderr=theirs, cwd=folder, env=environment, start_new_session=True)
        os.close(theirs)
        self._seen = ""

    def until(self, text: str) -> str:
        """What was shown up to and with `text`, without the terminal's own escapes."""
        end = time.monotonic() + _PATIENCE
        while text not in (shown := re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", "", self._seen).replace("\r", "")):
            assert time.monotonic() < end, f"no {text!r} in\n{shown}"
            if select.select([self._own], [], [], 1)[0]:
                try:
                    self._seen += os.read(self._own, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"it ended without {text!r}:\n{shown}") from None
        self._seen = shown.partition(text)[2]
        return shown.partition(text)[0] + text

    def ask(self, text: str) -> str:
        """Types a line and gives what is shown before the next prompt."""
        os.write(self._own, f"{text}\n".encode())
        return self.until("\n> ")

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)


@pytest.fixture
def typist(letters: Workspace, tmp_path: Path) -> Iterator[Typist]:
    one = Typist(["chat", "letters", "--runs", str(letters.root), "--max-tokens", "4000"], tmp_path)
    yield one
    one.process.kill()
    one.process.wait()


def test_a_conversation(typist: Typist, tmp_path: Path) -> None:
    assert "the merged model of run" in typist.until("> ")
    assert "(nothing was asked yet" in typist.ask("/base")
    assert "one two\n" in typist.ask("AAAA 7")
    assert "stops the answer, not the program" in typist.ask("/help")
    assert "did you mean '/again'" in typist.ask("/agan")
    again = typist.ask("/again")
    assert "greedy: the same answer" in again and "one two\n" in again
    typist.type("/base\n")  # the base never ends by itself: 4,000 tokens
    typist.until("the base answers")
    time.sleep(0.5)
    typist.interrupt()
    beside = typist.until("\n> ")
    assert "tuned" in beside and "base, asked the same" in beside and "[stopped]" in beside
    typist.interrupt()
    assert "(/quit or Ctrl-D leaves)" in typist.until("> ")
    assert "has this input" in typist.ask("/input first line")
    typist.type('"""\nDDDD 1\n')
    typist.ask('and more"""')
    assert "is no temperature" in typist.ask("/temperature hot")
    assert "(temperature 0, greedy)" in typist.ask("/temperature 0")
    assert "3 answers written to talk.jsonl" in typist.ask("/save talk.jsonl")
    assert "is there already" in typist.ask("/save talk.jsonl")
    typist.type("/quit\n")
    assert typist.process.wait(_PATIENCE) == 0
    rows = [json.loads(line) for line in (tmp_path / "talk.jsonl").read_text().splitlines()]
    assert [row["instruction"] for row in rows] == ["AAAA 7", "AAAA 7", "DDDD 1\nand more"]
    assert [row["input"] for row in rows] == ["", "", "first line"]
    assert rows[1]["base"]["end"] == "stopped" and rows[0]["output"] == "one two"


def test_a_model_cannot_steer_the_terminal() -> None:
    assert plain("a\x1b[2Jb\x07\n\tü é 漢") == "a\ufffd[2Jb\ufffd\n\tü é 漢"
