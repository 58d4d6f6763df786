"""`train.hosted`: a tune at a provider is estimated, capped, watched, taken up after a kill, and entered once; against a server that
speaks Together's and Fireworks' APIs and has bad days."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from alpaca_pipe.cli import app
from alpaca_pipe.core.example import Example, Origin, numbered
from alpaca_pipe.core.files import read_json, write_jsonl
from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.store.journal import Journal
from tests.proving.start import Proving, proving

PROVIDERS = ("together", "fireworks")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    with proving(tmp_path_factory.mktemp("tuning") / "books.sqlite") as running:
        yield running


@dataclass
class Home:
    """A workspace with a recipe, and the provider's own books."""

    folder: Path
    server: Proving
    provider: str

    def weather(self, **changes: Any) -> None:
        self._call(json.dumps(changes).encode())

    def books(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._call())
        return told

    def _call(self, body: bytes | None = None) -> bytes:
        address = self.server.url.removesuffix("/v1") + "/admin/tuning"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, body) as answer:
            said: bytes = answer.read()
        return said

    def recipe(self, budget: str = "", train: str = "") -> Path:
        file = self.folder / "it.yaml"
        account = ", account: me" if self.provider == "fireworks" else ""
        url = self.server.url.replace("/v1", "/tuning/v1")
        file.write_text(
            f"base: {{model: Qwen/Qwen3.5-9B}}\n{budget}\n"
            "curate: {from: rows.jsonl, held_out: 2, filters: none}\n"
            f"train: {{hosted: {{provider: {self.provider}{account}, base_url: '{url}', poll: 0.05}}, "
            f"control: none, num_train_epochs: 2{train}}}\n"
        )
        return file

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(
            app,
            [
                words[0] if words else "run",
                str(self.folder / "it.yaml"),
                "--runs",
                str(self.folder / "runs"),
                *words[1:],
            ],
        )

    def entries(self) -> list[LedgerEntry]:
        with Journal.open(self.folder / "runs" / "ledger.sqlite", read_only=True) as journal:
            journal.check()
            return [one for one in journal.entries() if one.request.startswith("h1-")]

    def settled(self) -> int:
        return sum(one.nanodollars for one in self.entries() if one.kind == "settled")


@pytest.fixture(params=PROVIDERS)
def home(
    request: pytest.FixtureRequest,
    server: Proving,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Home:
    for name in ("TOGETHER_API_KEY", "FIREWORKS_API_KEY"):
        monkeypatch.setenv(name, "a-key-of-a-test")
    rows = numbered(
        Example.of(
            f"Write verse {n}.", "in rhyme" if n % 2 else "", f"Verse {n} is here.", Origin("seed")
        )
        for n in range(30)
    )
    write_jsonl(tmp_path / "rows.jsonl", [row.to_row() for row in rows])
    made = Home(tmp_path, server, request.param)
    made.weather()
    made.recipe()
    return made


def test_a_tune_is_made_there_once_and_entered_at_what_it_cost(home: Home) -> None:
    done = home.run()
    assert done.exit_code == 0, done.output
    (job,) = home.books()["jobs"]
    assert job["model"] == "Qwen/Qwen3.5-9B" and job["epochs"] == 2
    kinds = [one.kind for one in home.entries()]
    assert kinds == ["reserved", "settled"] and {one.class_ for one in home.entries()} == {"gpu"}
    if home.provider == "fireworks":  # it says what a job cost; Together says its tokens
        assert home.settled() == round(job["dollars"] * 1e9)
    else:
        assert 0 < home.settled() <= home.entries()[0].nanodollars
    (told,) = (home.folder / "runs" / "store").glob("train-*/hosted.json")
    assert read_json(told)["tuned"] and read_json(told)["provider"] == home.provider
    again = home.run()
    assert again.exit_code == 0 and len(home.books()["jobs"]) == 1


def test_what_is_sent_is_the_rows_as_conversations(home: Home) -> None:
    assert home.run().exit_code == 0
    (sent,) = (home.folder / "runs" / "store").glob("train-*/rows.jsonl")
    rows = [json.loads(line) for line in sent.read_text().splitlines()]
    assert len(rows) == 28, "the held-out ones stay at home"
    assert all([one["role"] for one in row["messages"]] == ["user", "assistant"] for row in rows)
    assert any(row["messages"][0]["content"].endswith("\n\nin rhyme") for row in rows)


@pytest.mark.parametrize(
    "fault", ["upload_500", "upload_reset", "create_reset", "create_lost", "look_500", "look_reset"]
)
def test_bad_days_make_no_second_job(home: Home, fault: str) -> None:
    home.weather(faults=[fault])
    done = home.run()
    assert done.exit_code == 0, done.output
    assert not home.books()["left"] and len(home.books()["jobs"]) == 1
    assert [one.kind for one in home.entries()] == ["reserved", "settled"]


def test_a_job_that_failed_counts_at_its_ceiling_and_says_so(home: Home) -> None:
    home.weather(ends="error" if home.provider == "together" else "JOB_STATE_FAILED")
    done = home.run()
    assert done.exit_code != 0
    assert "ended as" in str(done.exception) and "ledger correct" in str(done.exception)
    assert [one.kind for one in home.entries()] == ["reserved", "lost"]


def test_a_cap_holds_before_anything_is_made(home: Home) -> None:
    home.recipe("budget: {gpu: 0.000001}")
    done = home.run()
    assert done.exit_code != 0 and "is left of budget.gpu" in str(done.exception)
    assert not home.books()["jobs"] and not home.entries()


def test_a_wrong_key_is_told_and_nothing_is_reserved(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TOGETHER_API_KEY", "FIREWORKS_API_KEY"):
        monkeypatch.setenv(name, "another-key-of-a-test")
    done = home.run()
    assert done.exit_code != 0 and "does not accept the key" in str(done.exception)
    assert "another-key" not in str(done.exception) and not home.entries()


def test_plan_prices_it_by_the_providers_table(home: Home) -> None:
    planned = json.loads(home.run("plan", "--json").output)
    train = next(step["estimate"] for step in planned["steps"] if step["stage"] == "train")
    low, middle, high = train["gpu"]
    assert 0 < low <= middle <= high and home.provider in train["says"]
    page = home.run("plan").output
    assert "the weights stay with the provider" in " ".join(page.split())
    assert not home.books()["jobs"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (", optim: sgd", "is not told train.optim"),
        (", lora: {dropout: 0.1}", "is not told train.lora.dropout"),
        (", num_train_epochs: 1.5", "whole epochs"),
        (", control: shuffled", "tunes no control"),
    ],
)
def test_what_it_is_not_told_is_refused_at_plan(home: Home, more: str, sentence: str) -> None:
    file = home.recipe(train=more)
    text = file.read_text()
    for key in ("num_train_epochs: 2", "control: none"):
        if more.split(":")[0].strip(", ") in key:
            text = text.replace(f"{key}, ", "").replace(f", {key}", "")
    file.write_text(text)
    done = home.run("plan")
    assert done.exit_code != 0 and sentence in str(done.exception), done.output


def test_what_needs_the_weights_is_refused_at_plan(home: Home) -> None:
    file = home.recipe()
    file.write_text(file.read_text() + "evaluate: {}\n")
    done = home.run("plan")
    assert done.exit_code != 0 and "evaluate needs them" in str(done.exception)


def test_killed_while_it_runs_there_it_is_collected_and_not_made_again(home: Home) -> None:
    home.weather(looks=1_000_000)
    command = [sys.executable, "-m", "alpaca_pipe", "run", "it.yaml", "--runs", "runs"]
    with subprocess.Popen(
        command,
        cwd=home.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C leaves it there" in line:
                break
        process.send_signal(signal.SIGKILL)
    (job,) = home.books()["jobs"]
    assert [one.kind for one in home.entries()] == ["reserved"], "it may be billed: it counts"
    home.weather(keep=True)
    done = home.run()
    assert done.exit_code == 0, done.output
    assert len(home.books()["jobs"]) == 1 and home.books()["jobs"][0]["name"] == job["name"]
    assert [one.kind for one in home.entries()] == ["reserved", "settled"]
