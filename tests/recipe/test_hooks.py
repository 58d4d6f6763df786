"""The table `on:`: who is told how a run ended, by a real server and real commands; what fails there changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alpaca_pipe.recipe.hook_calls import HookCalls
from alpaca_pipe.recipe.hooks import Hooks
from tests.command import command
from tests.webhook import Heard, hearing

FACTS = {"recipe": "vet", "run": "r1", "dollars": 1.5}


@pytest.fixture
def heard() -> Iterator[Heard]:
    with hearing() as server:
        yield server


def calls(said: list[str], **hooks: Any) -> HookCalls:
    return HookCalls(Hooks(**hooks), lambda: FACTS, said.append, pause=0)


def test_an_address_and_a_command_are_told_the_same(heard: Heard, tmp_path: Path) -> None:
    said: list[str] = []
    file = tmp_path / "told.json"
    calls(said, failed=[heard.address, f"cat > {file}"]).ended("failed", "the disk is full")
    (posted,) = heard.posted
    assert posted == json.loads(file.read_text()) and said == []
    line = "vet: failed - the disk is full"
    assert posted == FACTS | {
        "event": "failed",
        "sentence": "the disk is full",
        "text": line,
        "content": line,
    }


def test_only_the_hooks_of_what_happened(heard: Heard) -> None:
    calls([], done=heard.address).ended("stopped", "")
    assert heard.posted == []


def test_a_server_that_is_busy_is_asked_again(heard: Heard) -> None:
    said: list[str] = []
    heard.statuses = [503, 429]
    calls(said, done=heard.address).ended("done", "")
    assert len(heard.posted) == 3 and said == []


@pytest.mark.parametrize(
    ("statuses", "tries"), [([500] * 9, 3), ([404], 1), ([302], 1), ([301], 1)]
)
def test_one_that_never_takes_it_is_said_without_its_path(
    heard: Heard, statuses: list[int], tries: int
) -> None:
    said: list[str] = []
    heard.statuses = [*statuses]
    calls(said, done=heard.address).ended("done", "")
    assert len(heard.posted) == tries
    assert said == [f"on.done: 127.0.0.1 was not told: it answered {statuses[0]}"]


def test_an_address_may_stand_in_a_variable(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("MY_HOOK", heard.address)
    calls(said, done="$MY_HOOK").ended("done", "")
    monkeypatch.delenv("MY_HOOK")
    calls(said, done="$MY_HOOK").ended("done", "")
    assert len(heard.posted) == 1
    assert said == ["on.done: `$MY_HOOK` was not told: the variable holds no https:// address"]


def test_a_command_may_begin_with_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setenv("PLACE", str(tmp_path))
    hooks = Hooks(done="$(command -v cat) > $PLACE/told", failed="$PLACE/tell")
    assert hooks.commands == (*hooks.done, *hooks.failed) and hooks.unset == ()
    HookCalls(hooks, lambda: FACTS, said.append, pause=0).ended("done", "")
    assert said == [] and "vet: done" in (tmp_path / "told").read_text()


def test_a_variable_that_is_not_set_is_said_when_the_run_begins(tmp_path: Path) -> None:
    text = _RECIPE.format(cap=5, address="$NO_SUCH_HOOK")
    (tmp_path / "own.yaml").write_text(text)
    said = command("run", "own.yaml", cwd=tmp_path).out
    assert said.index("the variable NO_SUCH_HOOK holds no") < said.index(
        "not run yet with this recipe"
    )


def test_a_command_that_fails_is_said_with_its_last_words() -> None:
    said: list[str] = []
    calls(said, done="echo first >&2; echo no such user >&2; exit 3").ended("done", "")
    assert said[0].endswith("was not told: it ended with 3: no such user")


def test_a_budget_that_is_nearly_used_is_told_once(heard: Heard) -> None:
    hooks = calls([], budget_80=heard.address)
    hooks.budget_nearly_used("80 % of budget.api ($5.00) is used")
    hooks.budget_nearly_used("80 % of budget.total ($9.00) is used")
    hooks.ended("done", "")
    assert [one["event"] for one in heard.posted] == ["budget_80"]


@pytest.mark.parametrize(
    ("hook", "said"), [("", "it is empty"), ("https://", "names no host"), (7, "string")]
)
def test_what_is_no_hook_is_refused(hook: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Hooks(done=hook)


_RECIPE = """recipe_version: 1
teacher: {{kind: rehearsed, model: gpt-4.1-nano}}
budget: {{api: {cap}}}
generate: {{count: 40, round_size: 4}}
on:
  done: [{address}, "exit 3"]
  stopped: {address}
  failed: {address}
  budget_80: {address}
"""


@pytest.mark.parametrize(("cap", "events"), [(5, ["done"]), (0.002, ["budget_80", "stopped"])])
def test_by_the_command(heard: Heard, tmp_path: Path, cap: float, events: list[str]) -> None:
    (tmp_path / "own.yaml").write_text(_RECIPE.format(cap=cap, address=heard.address))
    done = command("run", "own.yaml", "budget.go_on=true", cwd=tmp_path)
    assert done.code == (0 if events == ["done"] else 2), done.err
    assert sorted(one["event"] for one in heard.posted) == sorted(events)
    last = heard.posted[-1]
    assert last["recipe"] == "own" and last["dollars"] > 0 and not last["rehearsal"]
    told = next(one for one in heard.posted if one["event"] in ("done", "stopped"))
    if events == ["done"]:
        assert told["cause"] == "" and told["rows"] >= 40
        assert told["sentence"] == f"{told['rows']} rows"
    else:
        assert told["cause"] == "budget" and "the budget of $0.0020" in told["sentence"]
    assert told["dollars_of_all_runs"] == told["dollars"]
    assert told["report"].endswith(f"{told['run']}.html")
    assert ("`exit 3` was not told" in done.out) == (events == ["done"])
    assert "a-secret-path" not in done.out + done.err


def test_a_command_inherits_no_key_that_it_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TEACHER_KEY", "sk-0123456789abcdef")
    monkeypatch.setenv("OTHER_VARIABLE", "stays")
    file = tmp_path / "told"
    shell = f'printf "%s" "$(env)" > {file}'
    keys = {"MY_TEACHER_KEY"}
    HookCalls(Hooks(done=(shell,)), lambda: FACTS, print, keys=keys).ended("done", "")
    assert "MY_TEACHER_KEY" not in file.read_text() and "OTHER_VARIABLE=stays" in file.read_text()
    named = f'printf "%s" "$MY_TEACHER_KEY" > {file}'
    HookCalls(Hooks(done=(named,)), lambda: FACTS, print, keys=keys).ended("done", "")
    assert file.read_text() == "sk-0123456789abcdef"
