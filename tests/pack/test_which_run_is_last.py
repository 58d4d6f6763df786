"""Results that came home: the last run stays the last one unless they go on from it, and all that looks back agrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.data.run_names import past_run
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.models.trained_model import find
from alpaca_pipe.pack.which_run_is_last import at_home, changed_keys, joined
from alpaca_pipe.recipe.status import status
from alpaca_pipe.report.run_files import left
from alpaca_pipe.report.summary import history_lines
from tests.pack.places import Place


def rows(place: Place) -> list[dict[str, object]]:
    return list(read_jsonl(place.folder / "runs/field/history.jsonl"))


def last(place: Place) -> dict[str, object]:
    """What each of those that look back takes for the recipe's last run."""
    root = place.workspace.root
    told = left(root, "field")
    by_name = past_run(root, "field")
    assert told.run["run"] == by_name.id == past_run(root, "field@1").id
    assert status(place.workspace, "field").last["run"] == by_name.id
    assert dict(told.run["steps"]) == place.workspace.lock("field")["steps"]
    return dict(told.run)


def test_a_run_of_other_settings_is_kept_apart(home: Place, away: Place) -> None:
    home.run()
    mine, lock = last(home), (home.folder / "runs/field/lock.json").read_bytes()
    log = (home.folder / "runs/field/log.jsonl").read_text()
    away.unpack(home.pack(overrides=("reap.keep_even=false",), gpu=NANO).file)
    away.run(until="reap")
    came = home.unpack(away.results().file)
    assert came.why == ("reap.keep_even was True, is False",)
    assert came.changed == ("reap.keep_even=false",) and len(came.apart) == 1
    assert last(home) == mine and (home.folder / "runs/field/lock.json").read_bytes() == lock
    assert (home.folder / "runs/field/log.jsonl").read_text().endswith(log)
    assert set(home.verdicts().values()) == {"up to date"}
    with home.at():
        theirs = past_run(home.workspace.root, f"field@{came.apart[0]}")
        said = "\n".join(history_lines(home.workspace.root, "field"))
    assert theirs.number == 0 and theirs.row["config"]["reap"]["keep_even"] is False
    assert str(away.folder) not in json.dumps(rows(home))
    assert "[reap.keep_even=false]  kept apart: unpacked from" in said
    crop = home.workspace.store.root / theirs.row["steps"]["reap"] / "crop.json"
    assert json.loads(crop.read_text()) == [0, 1, 2, 3]


def test_kept_apart_a_second_time_changes_nothing(home: Place, away: Place) -> None:
    home.run()
    away.unpack(home.pack(overrides=("reap.keep_even=false",), gpu=NANO).file)
    away.run()
    first = home.unpack(away.results().file)
    before, mine = rows(home), last(home)
    again = home.unpack(away.results().file)
    assert (again.apart, again.why, again.changed) == (first.apart, first.why, first.changed)
    assert rows(home) == before and last(home) == mine


def test_it_becomes_the_last_run_when_it_is_run_here(home: Place, away: Place) -> None:
    """Nothing of it is made again: its steps are here."""
    home.run()
    away.unpack(home.pack(overrides=("reap.keep_even=false",), gpu=NANO).file)
    away.run()
    home.unpack(away.results().file)
    said = home.run("reap.keep_even=false")
    assert said.count("up to date") == 3
    assert last(home)["overrides"] == ["reap.keep_even=false"] and "apart" not in last(home)
    home.run()  # and back
    assert last(home)["overrides"] == []


def test_the_same_settings_go_on(home: Place, away: Place) -> None:
    away.unpack(home.pack(gpu=NANO).file)
    away.run()
    came = home.unpack(away.results().file)
    assert not came.why and not came.changed and not came.apart
    assert set(last(home)["steps"]) == {"sow", "reap", "sell"}  # type: ignore[call-overload]


def test_what_was_set_when_it_was_packed_is_in_its_history(home: Place, away: Place) -> None:
    """Nothing here contradicts it: no such step was made. Its settings are told, and `--again` finds them."""
    away.unpack(home.pack(overrides=("reap.keep_even=false",), gpu=NANO).file)
    away.run()
    came = home.unpack(away.results().file)
    assert not came.why and came.changed == ("reap.keep_even=false",)
    assert last(home)["overrides"] == ["reap.keep_even=false"]
    assert home.workspace.lock("field")["config"]["reap"]["keep_even"] is False
    with home.at():
        assert "[reap.keep_even=false]" in "\n".join(history_lines(home.workspace.root, "field"))


def test_a_run_that_was_stopped_here_stays_too(home: Place, away: Place) -> None:
    """None of ours was finished; theirs was, and is none the less not ours."""
    home.run(until="reap")
    path = home.folder / "runs/field/history.jsonl"
    path.write_text(path.read_text().replace('"outcome": "done"', '"outcome": "stopped"'))
    away.unpack(home.pack(stage="sell", overrides=("reap.keep_even=true",), gpu=NANO).file)
    away.run("reap.keep_even=false")
    assert home.unpack(away.results().file).why
    told = left(home.workspace.root, "field").run
    assert told["outcome"] == "stopped" and told["run"] == past_run(home.workspace.root, "field").id


def test_one_kept_apart_is_never_the_last_however_late_it_was(
    home: Place, away: Place, tmp_path: Path
) -> None:
    """Not in a history that an older version wrote, and not once results of our own come after it."""
    home.run(until="reap")
    away.unpack(home.pack(stage="sell", overrides=("reap.keep_even=true",), gpu=NANO).file)
    away.run("reap.keep_even=false")
    assert home.unpack(away.results().file).apart
    apart, *ours = sorted(rows(home), key=lambda row: not row.get("apart"))
    late = [*ours, apart | {"run": "2999-01-01T00-00-00-aaaa"}]
    write_jsonl(home.folder / "runs/field/history.jsonl", late)
    assert last_told(home) == ours[-1]["run"]
    home.run(until="reap")
    assert rows(home) == late, "nothing was made, so there is no new run"
    third = Place.away(tmp_path / "third")
    third.unpack(home.pack(stage="sell", gpu=NANO, out=Path("third.tar.zst")).file)
    third.run()
    assert not home.unpack(third.results().file).apart
    assert rows(home)[0] == late[-1] and rows(home)[1:-1] == ours
    assert last_told(home) == rows(home)[-1]["run"] != ours[-1]["run"]


def last_told(home: Place) -> object:
    return status(home.workspace, "field").last["run"]


def test_a_model_of_theirs_is_not_taken_for_ours(tmp_path: Path) -> None:
    """Also where our last run made none: the one before it did."""
    own, store = tmp_path / "acme", tmp_path / "store"
    for name in ("train-a", "train-b"):
        (store / name / "model").mkdir(parents=True)
        (store / name / "model" / "template.json").write_text('{"template": "a", "sha256": "b"}')
    own.mkdir()
    lines: list[dict[str, object]] = [
        {"run": "2026-01-01T00-00-00-aaaa", "steps": {"train": "train-a"}, "outcome": "done"},
        {
            "run": "2026-01-02T00-00-00-bbbb",
            "steps": {"train": "train-b"},
            "outcome": "done",
            "apart": True,
        },
        {"run": "2026-01-03T00-00-00-cccc", "steps": {}, "outcome": "done"},
    ]
    (own / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert find(tmp_path, "acme").folder == store / "train-a" / "model"
    assert find(tmp_path, "acme", "2026-01-02").folder == store / "train-b" / "model"
    (own / "history.jsonl").write_text(f"{json.dumps(lines[1])}\n")
    (own / "lock.json").write_text(json.dumps({"steps": {"train": "train-a"}}))
    assert find(tmp_path, "acme").folder == store / "train-a" / "model"  # ours was killed after it
    (own / "lock.json").write_text(json.dumps({"steps": {}}))
    assert find(tmp_path, "acme").folder == store / "train-b" / "model"


@pytest.mark.parametrize(
    ("theirs", "ours", "found"),
    [
        ({"a": "/there/other.txt"}, {"a": "/here/mine.txt"}, {"a": "other.txt"}),
        ({"a": "/x/b.txt"}, {"a": "/y/b.txt"}, {"a": "/y/b.txt"}),
        ({"a": "C:\\x\\b.txt"}, {"a": None}, {"a": "b.txt"}),
        ({"a": ["/x/b", 1]}, {"a": ["/y/b", 2]}, {"a": ["/y/b", 1]}),
        ({"a": ["/x/b", "/x/c"]}, {"a": []}, {"a": ["b", "c"]}),
        ({"a": "none of a path"}, {"a": "other"}, {"a": "none of a path"}),
    ],
)
def test_paths_of_there_are_those_of_here(theirs: object, ours: object, found: object) -> None:
    assert at_home(theirs, ours) == found


def test_keys_as_one_would_set_them() -> None:
    ours = {"train": {"max_steps": None, "control": "shuffled", "lora": {"r": 8}}, "seed": 1}
    theirs = {"train": {"max_steps": 3, "control": None, "lora": {"r": 8}}, "seed": 1}
    assert changed_keys(ours, theirs) == ["train.max_steps=3", "train.control=none"]


def test_no_mixture_of_two_runs() -> None:
    """The evaluation stood on the tune of here; the one that came is another."""
    lock = {"steps": {"curate": "c-1", "train": "t-1", "evaluate": "e-1"}}
    assert joined(lock, {"curate": "c-1", "train": "t-2"}) == {"curate": "c-1", "train": "t-2"}
    assert joined(lock, {"train": "t-1", "export": "x-1"}) == {**lock["steps"], "export": "x-1"}
