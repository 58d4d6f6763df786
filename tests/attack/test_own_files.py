"""Any JSON in the workspace's own files is read, or is one sentence; and nothing in it leads out of its folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attack.commands import CLEAN, call
from tests.attack.examples import EXAMPLES, some

ASKED = [
    ("status",),
    ("status", "small"),
    ("history", "small"),
    ("report", "small"),
    ("rows", "small"),
    ("trace", "small"),
    ("plan", "small.yaml"),
    ("run", "small.yaml"),
    ("ledger", "small"),
    ("gc", "--dry-run"),
    ("compare", "small@1", "small@1"),
    ("pack", "small.yaml", "--for", "curate", "--share", "0"),
]
OWN = [
    "small/lock.json",
    "small/history.jsonl",
    "small/begun.json",
    "small/log.jsonl",
    "store/generate-*/done.json",
    "store/generate-*/stage.json",
    "store/curate-*/done.json",
    "store/curate-*/stage.json",
    "store/curate-*/examples.jsonl",
    "store/generate-*/examples.jsonl",
    "store/generate-*/rounds.jsonl",
]
CLIMBING = [
    "../../out",
    "/etc/x",
    "..",
    "a/b",
    "",
    ".hidden",
    "x" * 300,
    "a\x00b",
    "a\nb",
    "\ud800",
]


def shaken(home: Path, made: Path) -> Path:
    shutil.rmtree(home / "w", ignore_errors=True)
    shutil.copytree(made, home / "w")
    return home / "w"


def asked_of(home: Path, commands: list[tuple[str, ...]]) -> None:
    before = outside(home)
    here = Path.cwd()
    os.chdir(home)
    try:
        for words in commands:
            code, said = call(*words)
            assert code in CLEAN and "a bug in alpaca-pipe" not in said, (words, code, said[-500:])
            assert not set(said) & set("\x1b\x9b\u202e\r"), (words, said)
    finally:
        os.chdir(here)
    assert outside(home) == before


def outside(home: Path) -> set[Path]:
    """What lies beside a folder, but for the cache."""
    apart = (home, home.parent / "cache")
    return {p for p in home.parent.rglob("*") if not any(p == a or a in p.parents for a in apart)}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(CLIMBING),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "run",
                    "steps",
                    "generate",
                    "config",
                    "files",
                    "summary",
                    "kind",
                    "sha256",
                    "size",
                    "outcome",
                    "at",
                    "finished",
                    "seconds",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


def changed(value: Any, path: list[int], new: Any) -> Any:
    """The value with one of its parts replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = changed(value[key], path[1:], new)
    return copy


@some
@given(st.data())
def test_any_json_in_the_workspace_is_read_or_is_one_sentence(
    made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = shaken(tmp_path_factory.mktemp("own"), made)
    file = next(iter((home / "runs").glob(data.draw(st.sampled_from(OWN)))))
    lines = file.read_text().splitlines()
    text = "\n".join(lines) if file.suffix == ".json" else lines[0]
    part = data.draw(st.lists(st.integers(0, 20), max_size=4))
    new = json.dumps(changed(json.loads(text), part, data.draw(anything)))
    rest = [] if file.suffix == ".json" else lines[1:]
    file.write_text("\n".join([new, *rest]) + "\n", encoding="utf-8", errors="surrogatepass")
    chosen = data.draw(st.lists(st.sampled_from(ASKED), min_size=1, max_size=3))
    asked_of(home, chosen)
    shutil.rmtree(home.parent)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{", "1", '"x"', "[" * 100_000, "{}", "\x00", "9" * 5000]
)
@pytest.mark.parametrize("name", OWN)
def test_a_file_of_ours_that_is_something_else(
    made: Path, tmp_path: Path, name: str, text: str
) -> None:
    home = shaken(tmp_path, made)
    next(iter((home / "runs").glob(name))).write_text(text)
    asked_of(home, ASKED if EXAMPLES > 1000 else ASKED[::3])


@pytest.mark.parametrize("name", CLIMBING)
def test_a_run_with_another_folder_in_its_name_makes_no_page_there(
    made: Path, tmp_path: Path, name: str
) -> None:
    """`report` wrote outside the workspace."""
    home = shaken(tmp_path, made)
    file = home / "runs" / "small" / "history.jsonl"
    row = json.loads(file.read_text().splitlines()[-1])
    file.write_text(json.dumps(row | {"run": name}) + "\n")
    asked_of(home, [("report", "small"), ("history", "small"), ("rows", "small")])


def test_what_was_paid_for_is_not_made_anew_because_its_seal_was_changed(
    made: Path, tmp_path: Path
) -> None:
    home = shaken(tmp_path, made)
    file = next(iter((home / "runs").glob("store/generate-*/done.json")))
    file.write_text("{}")
    os.chdir(home)
    code, said = call("run", "small.yaml")
    assert code == 2 and "is not as alpaca-pipe wrote it" in said


def test_a_changed_history_takes_nothing_into_gc(made: Path, tmp_path: Path) -> None:
    home = shaken(tmp_path, made)
    (home / "runs" / "small" / "history.jsonl").write_text('{"run": 1}\n')
    (home / "runs" / "small" / "lock.json").unlink()
    os.chdir(home)
    code, said = call("gc", "--yes")
    assert code == 2 and "history.jsonl:1 is not as alpaca-pipe wrote it" in said
    assert list((home / "runs" / "store").glob("generate-*"))
