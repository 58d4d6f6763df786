"""Conversations before a person: rows, trace, the review's queue and the page show every message, not the first question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alpaca_pipe.core.example import Example, Message, Origin, Rejected
from alpaca_pipe.report.report_page import write
from alpaca_pipe.report.review_queue import to_review
from alpaca_pipe.report.rows import print_rows, rows
from alpaca_pipe.report.trace import trace
from tests.report.conftest import Workspace

CALL = {"type": "function", "function": {"name": "look", "arguments": '{"in": "garden"}'}}
ROW = Example.of_messages(
    [
        Message("user", "What grows <here>?"),
        Message("assistant", "", reasoning="I must look.", tool_calls=(CALL,)),
        Message("tool", "thyme, lovage"),
        Message("assistant", "Thyme and lovage.", learned=False),
        Message("user", "Which is taller?"),
        Message("assistant", "Lovage."),
    ],
    Origin("imported", "chats.jsonl#7"),
    "Be brief.",
)
WHOLE = {
    "system": "Be brief.",
    "1 user": "What grows <here>?",
    "2 assistant": '[thinks: I must look.]\n[calls look: {"in": "garden"}]',
    "3 tool": "thyme, lovage",
    "4 assistant (not learned)": "Thyme and lovage.",
    "5 user": "Which is taller?",
    "6 assistant": "Lovage.",
}


@pytest.fixture
def talk(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path, "talk")
    other = Example.of_messages(
        [
            Message("user", "Hi"),
            Message("assistant", "Yo"),
            Message("user", "Bye"),
            Message("assistant", ""),
        ],
        Origin("imported", "chats.jsonl#8"),
    )
    dropped = Rejected(other, "empty_output", "answer 2: the output is empty")
    sample = {"id": ROW.id, "instruction": ROW.instruction, "input": "", "wanted": "Lovage.", "base": "Mint",
              "messages": [one.to_row() for one in ROW.messages[:5]], "base_ended": True, "tuned": "Lovage", "tuned_ended": True}  # fmt: skip
    found.step(
        "curate",
        {"read": 2, "kept": 1, "rejected": {"empty_output": 1}, "train": 1, "held_out": 0, "repaired": 0, "repairs": {}},
        {
            "examples.jsonl": [ROW.to_row()],
            "train.jsonl": [ROW.to_row()],
            "held_out.jsonl": [],
            "rejected.jsonl": [dropped.to_row()],
        },
    )  # fmt: skip
    found.step("evaluate", {}, {"samples.jsonl": [sample]})
    found.close()
    return found


def test_rows_show_every_message(talk: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(talk.root, "talk")
    said = capsys.readouterr().out
    assert all(text.splitlines()[-1] in said for text in WHOLE.values())
    assert "4 assistant (not learned)" in said
    print_rows(talk.root, "talk", as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert [Message.from_row(one) for one in row["messages"]] == list(ROW.messages)
    assert rows(talk.root, "talk", grep="taller") and not rows(talk.root, "talk", grep="nowhere")
    print_rows(talk.root, "talk", rejected=True)
    assert "answer 2: the output is empty" in capsys.readouterr().out


def test_trace_shows_every_message(talk: Workspace) -> None:
    (found,) = trace(talk.root, ROW.id)
    assert found.passages[0].lines == tuple(f"{name}: {text}" for name, text in WHOLE.items())


def test_a_repaired_message_is_named(talk: Workspace) -> None:
    after = Example.of_messages(
        [*ROW.messages[:5], Message("assistant", "Lovage, by far.")],
        Origin("imported", "chats.jsonl#7", (ROW.id,), {"repair": "invisible"}),
        ROW.system,
    )
    folder = talk.root / "store" / talk.steps["curate"]
    (folder / "examples.jsonl").write_text(json.dumps(after.to_row()) + "\n")
    pair = {"rule": "invisible", "before": ROW.to_row(), "after": after.to_row()}
    (folder / "repaired.jsonl").write_text(json.dumps(pair) + "\n")
    (found,) = trace(talk.root, after.id)
    lines = {passage.title: passage.lines for passage in found.passages}["repair"]
    assert lines[0] == "invisible: its 6 assistant was 'Lovage.'"


def test_the_page_shows_every_message(talk: Workspace) -> None:
    page = write(talk.root, "talk").read_text()
    assert "What grows &lt;here&gt;?" in page and "thyme, lovage" in page and "6 assistant" in page
    assert (
        page.count("Which is taller?") == 2
    )  # the row, and the question before the sampled answers


def test_the_review_gets_the_whole_row(talk: Workspace) -> None:
    (item,) = to_review(talk.root, "talk")
    assert item.example == ROW
