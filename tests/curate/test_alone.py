"""`curate` alone on a file: the same engine, four files out, whole or absent; a second call does nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, read_jsonl, tree_digest
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.stage import STAGE
from alpaca_pipe.recipe.stage import EstimateInputs
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.standalone import FILES, Curated, curate

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron")
ROWS = [
    {
        "instruction": f"Say what {word} means to a child of {n}.",
        "input": "",
        "output": f"It is {word}, {n} times.",
    }
    for n, word in enumerate(WORDS)
]
ROWS += [
    {"instruction": "Draw a cat for me, please.", "input": "", "output": "I drew."},
    {
        "instruction": "Tell a joke about the sea.",
        "input": "No input",
        "output": "Why did the wave? It waved.",
    },
]
NAMES = {*FILES, "summary.json"}


class At:
    """A folder with rows.json, a workspace, and what was said."""

    def __init__(self, root: Path) -> None:
        self.root, self.said = root, io.StringIO()
        self.out = root / "clean"
        self.write(ROWS)

    def write(self, rows: Any, name: str = "rows.json") -> Path:
        path = self.root / name
        path.write_text(
            rows if isinstance(rows, str) else json.dumps(rows, indent=1), encoding="utf-8"
        )
        return path

    def curate(
        self,
        name: str = "rows.json",
        filters: str = "default",
        out: Path | None = None,
        **options: Any,
    ) -> Curated:
        self.said.truncate(0)
        source = name if name.startswith("hub:") else str(self.root / name)
        return curate(
            source,
            out or self.out,
            Workspace(self.root / "runs"),
            Console(file=self.said, width=200),
            filters=filters,
            options=options,
        )

    def ids(self, name: str) -> list[str]:
        return [row.get("id", "") for row in read_jsonl(self.out / f"{name}.jsonl")]


@pytest.fixture
def at(tmp_path: Path) -> At:
    return At(tmp_path)


def adds_up(summary: Mapping[str, Any]) -> bool:
    return bool(summary["read"] == summary["kept"] + sum(summary["rejected"].values()))


def test_four_files_that_add_up(at: At) -> None:
    done = at.curate(likeness="0.9")
    assert done.changed and done.folder == at.out.resolve()
    assert {path.name for path in at.out.iterdir()} == NAMES
    said = read_json(at.out / "summary.json")
    assert (said["read"], said["kept"], said["repaired"], said["rejected"]) == (
        10,
        9,
        1,
        {"media_request": 1},
    ) and adds_up(said)
    assert (
        len(at.ids("examples")) == 9
        and len(at.ids("rejected")) == 1
        and len(list(read_jsonl(at.out / "repaired.jsonl"))) == 1
    )
    assert "train" not in said and said["options"]["likeness"] == "0.9"
    assert not [path for path in at.root.iterdir() if path.name.startswith(".")]


def test_a_second_call_does_nothing(at: At) -> None:
    at.curate(likeness="0.9")
    before = {path: path.stat().st_mtime_ns for path in at.out.iterdir()}
    again = at.curate(likeness="0.9")
    assert not again.changed and "up to date" in at.said.getvalue() and again.summary["kept"] == 9
    assert {path: path.stat().st_mtime_ns for path in at.out.iterdir()} == before


def test_other_options_or_rows_replace_what_is_ours(at: At) -> None:
    at.curate(likeness="0.9")
    assert at.curate(likeness="0.8").changed and "likeness was 0.9, is 0.8" in at.said.getvalue()
    at.write(ROWS[:5])
    assert at.curate(likeness="0.8").changed and len(at.ids("examples")) == 5
    assert {path.name for path in at.out.iterdir()} == NAMES


def test_a_lost_file_is_laid_out_again_without_a_new_run(at: At) -> None:
    at.curate(likeness="0.9")
    (at.out / "rejected.jsonl").unlink()
    assert at.curate(likeness="0.9").changed and "up to date" in at.said.getvalue()
    assert {path.name for path in at.out.iterdir()} == NAMES


def test_what_is_not_ours_is_refused(at: At) -> None:
    at.out.mkdir()
    at.curate(likeness="0.9")  # an empty folder is free
    (at.out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="the folder is not empty: it holds notes.txt"):
        at.curate(likeness="0.8")
    (at.out / "notes.txt").unlink()
    (at.out / "examples.jsonl").write_text("mine now\n")
    with pytest.raises(
        UserError,
        match="examples.jsonl: it was changed since it was written here, and would be lost",
    ):
        at.curate(likeness="0.8")
    other = at.root / "other"
    other.mkdir()
    (other / "summary.json").write_text("{}")
    with pytest.raises(UserError, match="the folder is not empty"):
        at.curate(out=other)
    assert (other / "summary.json").read_text() == "{}"
    with pytest.raises(UserError, match="this is a file, not a folder"):
        at.curate(out=at.root / "rows.json")
    with pytest.raises(UserError, match="the rows themselves lie there"):
        at.curate(out=at.root)


@pytest.mark.parametrize(
    "filters, rejected",
    [
        ("none", {}),
        ("stanford", {"media": 1}),
        ("media", {"media": 1}),
        ("empty_output, min_words", {}),
    ],
)
def test_filters_are_chosen_by_a_word_or_by_name(
    at: At, filters: str, rejected: dict[str, int]
) -> None:
    assert at.curate(filters=filters, likeness="1").summary["rejected"] == rejected


@pytest.mark.parametrize(
    "options, says",
    [
        (
            {"filters": "medai"},
            "--filters: no filter and no set is called 'medai' - did you mean 'media'?",
        ),
        ({"likeness": "high"}, "--likeness: should be a number, not 'high'"),
        ({"likeness": "1.5"}, "--likeness: should be less than or equal to 1, not '1.5"),
        ({"words": "letters"}, "--words: should be "),
        ({"format": "xml"}, "--format: should be "),
        ({"wrods": "rouge"}, "--wrods: there is no such option - did you mean 'words'?"),
        ({"name": "absent.json"}, "absent.json - name a file or a folder of rows"),
        ({"name": "hub:alpaca"}, "not a dataset on the hub - write hub:owner/name"),
    ],
)
def test_wrong_options_are_told_in_the_commands_words(
    at: At, options: dict[str, str], says: str
) -> None:
    with pytest.raises(UserError) as error:
        at.curate(**options)
    assert says in str(error.value) and not at.out.exists()


def test_a_broken_file_leaves_nothing(at: At) -> None:
    at.write('{"instruction": "a b c d", "output": "e"}\n{broken\n[]\n', "rows.jsonl")
    with pytest.raises(UserError) as error:
        at.curate("rows.jsonl")
    assert str(error.value).count("\n") == 2 and "rows.jsonl:2: not JSON" in str(error.value)
    assert "--keep-going" in str(error.value).splitlines()[-1]
    assert sorted(path.name for path in at.root.iterdir()) == ["rows.json", "rows.jsonl", "runs"]
    at.write(ROWS, "rows.jsonl".replace("l", ""))
    assert at.curate().changed


def test_keep_going_sets_bad_rows_aside_and_counts_them(at: At) -> None:
    lines = [json.dumps(row) for row in ROWS]
    at.write(
        "\n".join([*lines[:3], "{broken", *lines[3:], '{"instruction": null, "output": ""}']),
        "rows.jsonl",
    )
    done = at.curate("rows.jsonl", keep_going=True, likeness="1")
    assert (
        done.summary["read"] == 12
        and done.summary["rejected"] == {"unreadable": 2, "media_request": 1}
        and adds_up(done.summary)
    )
    dropped = list(read_jsonl(at.out / "rejected.jsonl"))
    assert [row["rule"] for row in dropped] == ["unreadable", "unreadable", "media_request"]
    assert dropped[0]["text"] == "{broken" and dropped[0]["origin"] == {
        "kind": "imported",
        "source": "rows.jsonl#4",
    }
    assert "not JSON" in dropped[0]["reason"]


def test_conversations_are_rejected_or_their_first_exchange_kept(at: At) -> None:
    talk = [
        {"from": "human", "value": "Name a river of Asia."},
        {"from": "gpt", "value": "The Lena."},
        {"from": "human", "value": "And of Europe?"},
        {"from": "gpt", "value": "The Rhine."},
    ]
    at.write(
        [
            {"conversations": talk},
            {"conversations": [{**talk[0], "value": "Tell me of the moon."}, talk[1]]},
        ],
        "talks.json",
    )
    whole = at.curate("talks.json", likeness="1").summary
    assert whole["kept"] == 2 and whole["shapes"] == [
        {"shape": "conversation", "rows": 2, "columns": {"messages": "conversations"}}
    ]
    refused = at.curate("talks.json", likeness="1", turns="refuse")
    assert refused.summary["rejected"] == {"turns": 1}
    first = at.curate("talks.json", likeness="1", turns="first")
    assert first.summary["kept"] == 2
    assert next(iter(read_jsonl(at.out / "examples.jsonl")))["origin"]["details"] == {
        "exchanges": 2
    }
    at.write([{"conversations": talk}], "talks.json")
    with pytest.raises(
        UserError, match="no row was kept .dropped: turns 1. - .*curate.turns: first"
    ):
        at.curate("talks.json", turns="refuse")


def test_every_form_gives_the_same_rows(at: At) -> None:
    at.write("".join(json.dumps(row) + "\n" for row in ROWS), "rows.jsonl")
    texts = []
    for name in ("rows.json", "rows.jsonl"):
        at.curate(name, likeness="1")
        texts.append(
            [
                (row["id"], row["instruction"], row["output"])
                for row in read_jsonl(at.out / "examples.jsonl")
            ]
        )
    assert texts[0] == texts[1]


def test_nothing_held_out_is_told_where_a_model_is_to_be_measured() -> None:
    config = CurateConfig.model_validate({"held_out": 0})
    assert STAGE.estimate(config, {"train": object()}, EstimateInputs()).minutes.p50 > 0
    with pytest.raises(
        UserError, match="no row is held out, and evaluate measures the tuned model on such rows"
    ):
        STAGE.estimate(config, {"train": object(), "evaluate": object()}, EstimateInputs())


def test_a_source_is_known_by_its_content_and_a_hub_id_by_its_name(at: At) -> None:
    first = CurateConfig.model_validate({"from": at.root / "rows.json"}).identity()
    (at.root / "rows.json").rename(at.root / "moved.json")
    assert CurateConfig.model_validate({"from": at.root / "moved.json"}).identity() == first
    hub = CurateConfig.model_validate_json('{"from": "hub:a/b@main"}')
    assert (
        hub.identity()["source"] == "hub:a/b@main"
        and hub.model_dump(mode="json", by_alias=True)["from"] == "hub:a/b@main"
    )
    assert STAGE.estimate(hub, {}, EstimateInputs()).minutes.p50 > 0


CURATE = """
import os, signal, sys, threading, time
from pathlib import Path
from rich.console import Console
from alpaca_pipe.standalone import curate
from alpaca_pipe.recipe.workspace import Workspace
if len(sys.argv) > 4:
    threading.Timer(float(sys.argv[4]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
curate(sys.argv[1], Path(sys.argv[2]), Workspace(Path(sys.argv[3])), Console(), options={"likeness": "0.9"})
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_changes_nothing(at: At, tmp_path: Path) -> None:
    rows = [
        {"instruction": f"Say {n} and {n * 7} and then {n * 13} aloud.", "output": f"{n}"}
        for n in range(4000)
    ]
    source = at.write(rows, "many.json")

    def run(out: Path, runs: str, *more: str) -> int:
        return subprocess.run(
            [sys.executable, "-c", CURATE, str(source), str(out), str(tmp_path / runs), *more],
            capture_output=True,
            check=False,
            env=dict(os.environ),
        ).returncode

    assert run(tmp_path / "whole", "one") == 0
    for moment in ("0.9", "1.3", "1.8", "2.5", "3.5"):
        run(at.out, "two", moment)
        assert not at.out.exists() or {path.name for path in at.out.iterdir()} == NAMES
    assert run(at.out, "two") == 0
    for name in FILES:
        assert tree_digest(at.out / name) == tree_digest(tmp_path / "whole" / name)


def test_a_wrong_word_of_on_names_the_option(at: At) -> None:
    with pytest.raises(UserError, match="^--on: should be 'task'"):
        at.curate(duplicates={"on": "x"})


SHARED = [
    {
        "instruction": "Tell me a riddle.",
        "output": " ".join(f"{word}{n}" for n in range(9)),
    }
    for word in WORDS
]
TERSE = [{"instruction": f"Say {word}.", "output": f"The word is {word}, {n}."} for n, word in enumerate(WORDS)]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "rows", "cure"),
    [
        ("likeness", SHARED, ["--on", "row"]),
        ("min_words", TERSE, ["--filters", "default,-min_words"]),
        (
            "do_not_learn",
            [SHARED[0] | {"use": False}],
            ["--columns", "unread=COLUMN"],
        ),
    ],
)
def test_a_rule_that_drops_a_third_says_so_and_its_cure_works(
    at: At, rule: str, rows: list[dict[str, str]], cure: list[str]
) -> None:
    apart = {"instruction": "What do trams run on in winter?", "output": "On rails, as in summer."}
    source = at.write([*rows, apart], f"{rule}.json")

    def clean(*more: str) -> str:
        command = [sys.executable, "-m", "alpaca_pipe", "curate", str(source), *more]
        place = ["-o", str(at.root / f"out{len(more)}"), "--runs", str(at.root / "runs")]
        return subprocess.run([*command, *place], capture_output=True, text=True, check=True).stdout

    said = clean()
    line = next(line for line in said.splitlines() if line.startswith(f"{rule} drops"))
    assert "more than a third" in line and " ".join(cure) in line
    again = clean(*("unread=use" if word == "unread=COLUMN" else word for word in cure))
    assert f"{rule} drops" not in again and f"{len(rows) + 1:,} kept" in again
