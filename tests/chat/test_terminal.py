"""The conversation in a real terminal: a process of its own on a pty, typed at and interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alpaca_pipe.core.screen import visible
from alpaca_pipe.recipe.workspace import Workspace
from tests.terminal import Terminal


@pytest.fixture
def there(letters: Workspace, tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(
        tmp_path,
        "chat",
        "letters",
        "--runs",
        str(letters.root),
        "--max-tokens",
        "4000",
        env={"OMP_NUM_THREADS": "1"},
    ) as one:
        yield one


def asked(there: Terminal, text: str) -> str:
    """Types a line and gives what is shown before the next prompt."""
    there.type(f"{text}\n")
    return there.until("\n> ")


def test_a_conversation(there: Terminal, tmp_path: Path) -> None:
    assert "the merged model of run" in there.until("> ")
    assert "(nothing was asked yet" in asked(there, "/base")
    assert "one two\n" in asked(there, "AAAA 7")
    assert "stops the answer, not the program" in asked(there, "/help")
    assert "did you mean '/again'" in asked(there, "/agan")
    again = asked(there, "/again")
    assert "greedy: the same answer" in again and "one two\n" in again
    there.type("/base\n")  # the base never ends by itself: 4,000 tokens
    there.until("the base answers")
    there.type("\x03")
    beside = there.until("\n> ")
    assert "tuned" in beside and "base, asked the same" in beside and "[stopped]" in beside
    there.interrupt()
    assert "(/quit or Ctrl-D leaves)" in there.until("> ")
    assert "has this input" in asked(there, "/input first line")
    there.type('"""\nDDDD 1\n')
    asked(there, 'and more"""')
    assert "is not a temperature" in asked(there, "/temperature hot")
    assert "(temperature 0, greedy)" in asked(there, "/temperature 0")
    assert "3 answers written to talk.jsonl" in asked(there, "/save talk.jsonl")
    assert "is there already" in asked(there, "/save talk.jsonl")
    there.type("/quit\n")
    assert there.end()[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "talk.jsonl").read_text().splitlines()]
    assert [row["instruction"] for row in rows] == ["AAAA 7", "AAAA 7", "DDDD 1\nand more"]
    assert [row["input"] for row in rows] == ["", "", "first line"]
    assert rows[1]["base"]["end"] == "stopped" and rows[0]["output"] == "one two"


def test_a_model_cannot_steer_the_terminal() -> None:
    assert visible("a\x1b[2Jb\x07\n\tü é 漢") == "a⟨ESC⟩[2Jb⟨U+0007⟩\n\tü é 漢"
