"""`--as`: each form holds all that a row says, or says what it cannot; read again, the rows are the same."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.data.publish import AS, write_as
from alpaca_pipe.data.reading import read
from alpaca_pipe.data.source_kinds import WrittenAs

HERE = Origin("imported", "rows#1")
USER, GPT = "user", "assistant"
EXCHANGES = [
    Example.of("Where does the tram stop?", "", "At the harbour.", HERE),
    Example.of("Translate it.", "der Hafen\u2028\u4e2d", "the harbour", HERE, "Be brief."),
]
PLAIN = Example.of_messages(
    [Message(USER, "One?"), Message(GPT, "Two."), Message(USER, "Three?"), Message(GPT, "Four.")],
    HERE,
    "Count on.",
)
UNLEARNED = Example.of_messages(
    [
        Message(USER, "Say it."),
        Message(GPT, "No.", learned=False),
        Message(USER, "Again."),
        Message(GPT, "It."),
    ],
    HERE,
)
THOUGHT = Example.of_messages([Message(USER, "Why?"), Message(GPT, "So.", reasoning="Hm.")], HERE)


def written(tmp_path: Path, form: WrittenAs, *rows: Example) -> Path:
    write_jsonl(tmp_path / "rows.jsonl", (one.to_row() for one in rows))
    path = tmp_path / AS[form]
    write_as(form, path, tmp_path / "rows.jsonl")
    return path


def said(example: Example) -> tuple[Any, ...]:
    """Its texts, the input below the instruction, with what is learned and thought."""
    return example.system, tuple(
        (one.role, one.text, one.is_learned, one.reasoning) for one in example.conversation()
    )


@pytest.mark.parametrize("form", AS)
def test_what_is_written_is_read_again(tmp_path: Path, form: WrittenAs) -> None:
    rows = EXCHANGES if form == "openorca" else [*EXCHANGES, PLAIN]
    assert [*map(said, read(written(tmp_path, form, *rows)))] == [*map(said, rows)]


def test_openorca_has_four_columns_and_no_place_for_a_conversation(tmp_path: Path) -> None:
    path = written(tmp_path, "openorca", EXCHANGES[1])
    (row,) = (json.loads(line) for line in path.open(encoding="utf-8"))
    assert row == {
        "id": EXCHANGES[1].id,
        "system_prompt": "Be brief.",
        "question": "Translate it.\n\nder Hafen\u2028\u4e2d",
        "response": "the harbour",
    }
    with pytest.raises(UserError, match="is a conversation.*--as messages"):
        written(tmp_path, "openorca", PLAIN)
    assert not path.exists()


@pytest.mark.parametrize("form", ["messages", "sharegpt", "parquet"])
def test_what_is_not_learned_and_what_was_thought_come_back(
    tmp_path: Path, form: WrittenAs
) -> None:
    rows = [UNLEARNED, THOUGHT]
    assert [*map(said, read(written(tmp_path, form, *rows)))] == [*map(said, rows)]


def test_messages_are_openais_rows(tmp_path: Path) -> None:
    path = written(tmp_path, "messages", EXCHANGES[1], UNLEARNED)
    assert [json.loads(line) for line in path.open(encoding="utf-8")] == [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Translate it.\n\nder Hafen\u2028\u4e2d"},
                {"role": "assistant", "content": "the harbour"},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "Say it."},
                {"role": "assistant", "content": "No.", "weight": 0},
                {"role": "user", "content": "Again."},
                {"role": "assistant", "content": "It."},
            ]
        },
    ]


@pytest.mark.parametrize("form", ["alpaca", "chatml"])
def test_a_form_that_cannot_say_it_says_so(tmp_path: Path, form: WrittenAs) -> None:
    with pytest.raises(UserError, match="not learned|cannot hold") as error:
        written(tmp_path, form, *EXCHANGES, UNLEARNED)
    assert "--as messages" in str(error.value) and not (tmp_path / AS[form]).exists()
    write_jsonl(tmp_path / "thought.jsonl", [THOUGHT.to_row()])
    assert write_as(form, tmp_path / "out", tmp_path / "thought.jsonl") == 1


def test_the_command_tells_what_a_form_leaves_out(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "in.jsonl", [{"question": "Why is it so?", "thinking": "Hm.", "answer": "So."}]
    )
    command = [sys.executable, "-m", "alpaca_pipe", "curate", str(tmp_path / "in.jsonl")]
    more = [
        "-o",
        str(tmp_path / "out"),
        "--runs",
        str(tmp_path / "runs"),
        "--as",
        "chatml,messages",
    ]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    assert (
        "chatml.jsonl: the reasoning of 1 answers is left out; --as messages holds it"
        in done.stdout
    )
    [row] = map(json.loads, (tmp_path / "out" / "messages.jsonl").open(encoding="utf-8"))
    assert row["messages"][-1]["reasoning_content"] == "Hm."


READER = """
import datasets, sys
assert datasets.__version__ == "3.6.0"
rows = datasets.load_dataset("parquet", data_files=sys.argv[1], split="train")
print([[one["role"], one["content"], one["weight"]] for one in rows[2]["messages"]], rows[1]["input"])
"""


@pytest.mark.slow
def test_parquet_opens_with_datasets_3_6(tmp_path: Path) -> None:
    """In an environment of its own: version 3 stops at a type that version 4 notes."""
    path = written(tmp_path, "parquet", *EXCHANGES, UNLEARNED)
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "datasets==3.6.0"]
    made = subprocess.run(install, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"datasets 3.6.0 cannot be installed here: {made.stderr[-200:]}")
    done = subprocess.run(
        [python, "-c", READER, path],
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HOME": str(tmp_path / "hf"), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert "['assistant', 'No.', 0]" in done.stdout and "der Hafen" in done.stdout
