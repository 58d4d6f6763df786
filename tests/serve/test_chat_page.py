"""The chat page in a real browser: base beside tuned, blind, and votes that are rows which other commands read."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_pipe.core.preference import Preference
from alpaca_pipe.serve.base_model import base_choice
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.serve.votes import NoVote, vote_rows
from tests.browser import chromium
from tests.command import command
from tests.serve.conftest import served
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

MODELS = {"letters": "the tuned one", "letters-base": "the base"}
SAID: dict[str, Any] = {
    "prompt": [{"role": "user", "content": "AAAA 7"}],
    "a": {"model": "letters", "text": "one two"},
    "b": {"model": "letters-base", "text": "x"},
    "blind": True,
}


@pytest.fixture
def page(workspace: Path) -> Iterator[tuple[Page, list[str]]]:
    with (
        served("letters", "--runs", str(workspace)) as (url, _),
        chromium() as browser,
    ):
        wrong: list[str] = []
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.set_default_timeout(PATIENCE * 1000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(url.removesuffix("v1"))
        yield page, wrong


def ask(page: Page, question: str) -> list[str]:
    count = page.locator(".turn[data-done]").count()
    page.fill("#question", question)
    page.press("#question", "Enter")
    turn = page.locator(".turn[data-done]").nth(count)
    turn.wait_for()
    return turn.locator(".text").all_text_contents()


def test_base_beside_tuned_blind_and_votes(page: tuple[Page, list[str]], workspace: Path) -> None:
    shown, wrong = page
    assert ask(shown, "AAAA 7") == ["one two"]
    shown.check("#blind")
    assert shown.is_checked("#beside")
    both = ask(shown, "CCCC 2")
    assert len(both) == 2 and "fish" in both
    turn = shown.locator(".turn").last
    assert turn.locator(".who").all_text_contents() == ["A", "B"], "nothing tells which is which"
    better = "ab"[both.index("fish")]
    turn.locator(f"[data-vote={better}]").click()
    turn.get_by_text("kept: tuned").wait_for()
    assert sorted(turn.locator(".who").all_text_contents()) == (
        ["A: tuned", "B: base"] if better == "a" else ["A: base", "B: tuned"]
    )
    shown.uncheck("#blind")
    ask(shown, "AAAA 7")
    shown.locator(".turn").last.locator("[data-vote=bad]").click()
    shown.get_by_text("both bad 1").wait_for()
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth") and not wrong
    file = workspace / "letters" / "chats" / "votes.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["vote"] for row in rows] == ["letters", "both bad", "both bad"]
    assert rows[0]["blind"] and not rows[1]["blind"]
    kept = Preference.from_row(rows[0]).example()
    assert kept and (kept.instruction, kept.output) == ("CCCC 2", "fish")
    done = command("curate", file, "-o", "clean", "--json", cwd=workspace.parent)
    assert done.code == 0, done.err
    read = (workspace.parent / "clean").rglob("*.jsonl")
    assert any("fish" in path.read_text() for path in read)


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))), reason="needs the extra `serve`"
)
def test_transformers_takes_all_that_the_page_sends(workspace: Path) -> None:
    """`transformers serve` refuses a request with a field that it does not know."""
    words = ("letters", "--runs", str(workspace), "--engine", "transformers")
    with served(*words) as (url, _), chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(url.removesuffix("v1"))
        page.check("#beside")
        both = ask(page, "AAAA 7")
        assert len(both) == 2 and "one two" in both
        assert "failed" not in " ".join(page.locator(".note").all_text_contents())


def test_a_base_that_is_a_gguf_is_served_as_a_checkpoint_where_the_engine_wants_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alpaca_pipe.weights import base as weights_base

    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "checkpoint").mkdir()
    asked: list[Any] = []

    def resolve(table: Any, say: Any) -> weights_base.Checkpoint:
        asked.append(table.model)
        return weights_base.Checkpoint(str(tmp_path / "checkpoint"))

    monkeypatch.setattr(weights_base, "resolve", resolve)
    tuned = ModelChoice("t", "", None, None, base={"model": str(tmp_path / "m.gguf")})
    assert base_choice(tuned).gguf == tmp_path / "m.gguf" and not asked
    found = base_choice(tuned, as_file=False)
    assert (found.gguf, found.checkpoint) == (None, tmp_path / "checkpoint")
    assert asked == [tmp_path / "m.gguf"]


def test_the_page_asks_for_the_key(workspace: Path) -> None:
    words = ("letters", "--runs", str(workspace))
    with served(*words, ALPACA_PIPE_SERVE_KEY="s3cret") as (url, _), chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(url.removesuffix("v1"))
        assert ask(page, "AAAA 7") == [""] and page.is_visible("#key")
        page.fill("#key", "s3cret")
        page.press("#key", "Enter")
        assert ask(page, "AAAA 7") == ["one two"]
        page.goto("about:blank")
        page.goto(url.removesuffix("v1") + "#key=s3cret")
        assert ask(page, "AAAA 7") == ["one two"]


@pytest.mark.parametrize(
    ("vote", "kept"), [("a", "one two"), ("b", "x"), ("good", "one two"), ("bad", None)]
)
def test_a_vote_is_a_row(vote: str, kept: str | None) -> None:
    rows = vote_rows(SAID | {"vote": vote}, MODELS)
    found = Preference.from_row(rows[0])
    example = found.example()
    assert (example.output if example else None) == kept
    assert found.id == rows[0]["id"] and len(rows) == (1 if vote in "ab" else 2)
    assert rows[0]["models"] == MODELS


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        SAID,
        SAID | {"vote": "c"},
        SAID | {"vote": "a", "b": {"model": "another", "text": "x"}},
        SAID | {"vote": "a", "b": {"model": "letters-base", "text": "one two"}},
        SAID | {"vote": "a", "prompt": []},
        SAID | {"vote": "a", "prompt": [{"role": "assistant", "content": "x"}]},
        SAID | {"vote": "good", "a": {"model": "letters", "text": ""}},
    ],
)
def test_what_is_no_vote_is_said(said: Any) -> None:
    with pytest.raises(NoVote):
        vote_rows(said, MODELS)
