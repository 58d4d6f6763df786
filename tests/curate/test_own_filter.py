"""Filters of the user's own: found without being run, told with the row where they fail, part of the step's identity."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.own_function import OwnFunction
from alpaca_pipe.curate import own_filter
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.filter_config import _OTHER_RULES, NAMES, SETS
from alpaca_pipe.curate.own_filter import OwnFilter
from tests.command import command

ROW = Example.of("Name a river.", "in Africa", "The Nile, dear reader.", Origin("imported", "r#7"))

MINE = """
def too_polite(row):
    if "dear" in row["output"]:
        return "it calls the\\n reader dear"

def in_two_turns(row):
    return "several turns" if len(row["messages"]) > 2 and not row["system"] else None

def raises(row):
    return row["nothing"]

def leaves(row):
    raise SystemExit(0)

def counts(row):
    return len(row["output"])

def blank(row):
    return "  "

def prints(row):
    print("looked at", row["id"])

def swallows(row):
    while True:
        try:
            while True:
                pass
        except Exception:
            pass

def refusal(row):
    return None
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def config(folder: Path, filters: object) -> CurateConfig:
    text = json.dumps({"filters": filters})
    return CurateConfig.model_validate_json(text, context={"folder": folder})


def own(folder: Path, name: str) -> OwnFilter:
    return OwnFilter(OwnFunction(file=folder / "mine.py", function=name))


def test_a_reason_drops_a_row_under_the_name_of_the_function(folder: Path) -> None:
    active = config(folder, ["default", "mine.py:too_polite"]).filters.active()
    assert active[-1].name == "too_polite"
    assert active[-1].reason(ROW) == "it calls the reader dear"
    assert {one.name for one in active[:-1]} == SETS["default"]


def test_a_conversation_is_looked_at_as_a_whole(folder: Path) -> None:
    turns = [Message("user", "a"), Message("assistant", "b")] * 2
    talk = Example.of_messages(turns, Origin("imported"))
    assert own(folder, "in_two_turns")(talk) == "several turns"
    assert own(folder, "in_two_turns")(ROW) is None


def test_alone_it_stands_beside_the_default_set(folder: Path) -> None:
    alone = config(folder, "mine.py:too_polite").filters
    beside = config(folder, ["default", "mine.py:too_polite"]).filters
    none = config(folder, ["none", "mine.py:too_polite"]).filters
    assert alone == beside and [one.name for one in none.active()] == ["too_polite"]


def test_as_a_table(folder: Path) -> None:
    made = config(folder, {"own": ["mine.py:too_polite"], "refusal": False}).filters
    names = [one.name for one in made.active()]
    assert "refusal" not in names and names[-1] == "too_polite"


def test_its_source_is_part_of_the_identity_and_none_is_none(folder: Path) -> None:
    before = config(folder, "mine.py:too_polite").identity()
    (folder / "mine.py").write_text(MINE.replace("dear", "sir"))
    after = config(folder, "mine.py:too_polite").identity()
    assert before != after and str(folder) not in json.dumps(after)
    assert "own" not in config(folder, "default").identity()["filters"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises", "raised KeyError: 'nothing'"),
        ("leaves", "raised SystemExit: 0"),
        ("counts", "answered 22, neither None nor a reason"),
        ("blank", "answered '  ', neither None nor a reason"),
    ],
)
def test_what_fails_is_told_with_its_row(folder: Path, name: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        own(folder, name)(ROW)
    assert f"mine.py:{name}" in caught.value.what and f"row {ROW.id} (r#7)" in caught.value.what


def test_one_that_never_ends_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_filter, "SECONDS", 0.05)
    with pytest.raises(UserError, match=r"took longer than 0\.05 s at row"):
        own(folder, "swallows")(ROW)


def test_what_it_prints_is_no_output_of_ours(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert own(folder, "prints")(ROW) is None
    assert capsys.readouterr() == ("", f"looked at {ROW.id}\n")


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ("mine.py:too_polit", "has no function 'too_polit' at its top - it has too_polite"),
        ("none.py:x", "no such file or folder"),
        ("broken.py:x", "broken.py:1 is not Python"),
        ("mine.py:refusal", "a rule is called 'refusal' already"),
        (["mine.py:counts", "mine.py:counts"], "a rule is called 'counts' already"),
        ("mine.py:a-b", "String should match pattern"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_before_anything_runs(
    folder: Path, filters: object, said: str
) -> None:
    (folder / "broken.py").write_text("def x(:\n")
    with pytest.raises(ValidationError, match=re.escape(said)):
        config(folder, filters)


def test_to_name_it_runs_nothing(folder: Path) -> None:
    (folder / "loud.py").write_text("raise RuntimeError('run')\n\ndef x(row): ...\n")
    made = config(folder, "loud.py:x").filters.active()[-1]
    with pytest.raises(UserError, match=r"loud\.py cannot be loaded: RuntimeError: run"):
        made.reason(ROW)


def test_by_the_command_a_failure_leaves_nothing_and_a_mended_one_goes_on(folder: Path) -> None:
    rows = [ROW.to_row() | {"instruction": f"Name {n} rivers."} for n in range(20)]
    rows.append(ROW.to_row() | {"output": "The Congo is one."})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("curate", "rows.jsonl", "-o", "out", "--likeness", "1", "--filters")
    done = command(*words, "none,mine.py:raises", cwd=folder)
    assert done.code == 2 and "mine.py:raises raised KeyError" in done.err
    assert not (folder / "out" / "examples.jsonl").exists()
    done = command(*words, "none,mine.py:too_polite", cwd=folder)
    assert done.code == 0, done.err
    rejected = (folder / "out" / "rejected.jsonl").read_text().splitlines()
    assert len(rejected) == 20 and json.loads(rejected[0])["rule"] == "too_polite"


def test_the_other_rules_are_those_of_the_code() -> None:
    """A constant RULE, or one of the reader's names for rows that it sets aside."""
    package = Path(own_filter.__file__).parents[1]
    found = set[str]()
    for file in [*(package / "curate").rglob("*.py"), *(package / "data").glob("*.py")]:
        text = file.read_text()
        found |= set(re.findall(r'^RULE = "(\w+)"', text, re.MULTILINE))
        found |= set(
            re.findall(
                r'^(?:UNREADABLE|BAD_ANSWER|DO_NOT_LEARN|TURNS_RULE) = "(\w+)"', text, re.MULTILINE
            )
        )
    assert found <= set(_OTHER_RULES), "add it to _OTHER_RULES"
    assert not set(_OTHER_RULES) & set(NAMES)
