"""The user's week, line by line as the README tells it: from an empty folder to a page for the boss, across two machines.

The paid teacher is a rehearsed one at the paid one's prices, the GPU machine a second folder with a home and a cache of its
own. The lines build on each other, so they are tests in an order, over one pair of folders.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.files import read_jsonl, shipped
from alpaca_pipe.ledger.store import connection
from tests.browser import chromium
from tests.command import command, told
from tests.terminal import Terminal
from tests.waiting import until

REHEARSED = {  # what a key, a GPU and a 7B model are replaced by; budgets and prices stay
    "kind: openai_chat": "kind: rehearsed\n  served: served.jsonl",
    "  model: gpt-6-luna": "  model: gpt-4.1-nano",
    "  extra_body: {reasoning_effort: none}": "  # extra_body: {reasoning_effort: none}",
    "concurrency: 32": "concurrency: 4",
    "  name: RTX4090\n  provider: runpod": "  per_hour: 18\n  human_per_hour: 30",
    "HuggingFaceTB/SmolLM2-1.7B": "tiny",
    "  dtype: bfloat16": "  # dtype: bfloat16",
    "count: 300": "count: 60",
    "round_size: 32": "round_size: 8",
    "held_out: 30": "held_out: 12",
    "per_device_train_batch_size: 8": "per_device_train_batch_size: 4\n  max_steps: 4\n  max_length: 2048",
    "evaluate: {}": "evaluate: {samples: 1, max_new_tokens: 8, max_length: 4096}",
}
ROAD = ("generate", "curate", "train", "evaluate", "export")


@dataclass(frozen=True)
class Place:
    """A machine: a folder to work in, and a home and a cache that no other machine sees."""

    folder: Path

    @property
    def own(self) -> dict[str, str]:
        """What of the environment is this machine's alone."""
        home, cache = (
            str(self.folder.parent / f"{self.folder.name}-{what}") for what in ("home", "cache")
        )
        return {
            "HOME": home,
            "ALPACA_PIPE_CACHE": cache,
            "COLUMNS": "120",
            "BROWSER": "true",
        }

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | self.own

    def start(self, line: str, given: int | None = None) -> subprocess.Popen[str]:
        """Begins a line of the week as a shell would."""
        words = [
            sys.executable,
            "-m",
            "alpaca_pipe",
            *(word for part in line.split() for word in self._spread(part)),
        ]
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def say(self, line: str, code: int = 0, typed: str = "") -> str:
        words = [word for part in line.split() for word in self._spread(part)]
        said = command(*words, cwd=self.folder, typed=typed, **self.own)
        assert said.code == code, f"{line}: exit {said.code}\n{said.out}{said.err}"
        return said.err + said.out

    def facts(self, line: str) -> Any:
        return json.loads(told(*line.split(), "--json", cwd=self.folder, **self.own))

    def served(self) -> Counter[str]:
        """How often the teacher's server answered each question."""
        file = self.folder / "vet" / "served.jsonl"
        return Counter(row["asked"] for row in read_jsonl(file)) if file.exists() else Counter()

    def replies(self) -> int:
        with closing(connection.read_only(self.folder / "runs" / "ledger.sqlite")) as db:
            return int(db.execute("SELECT COUNT(*) FROM replies").fetchone()[0])

    def settled(self, **where: str) -> int:
        """Nano-dollars."""
        conditions = " AND ".join(["kind = 'settled'", *(f"{name} = ?" for name in where)])
        with closing(connection.read_only(self.folder / "runs" / "ledger.sqlite")) as db:
            return int(
                db.execute(
                    f"SELECT COALESCE(SUM(nanodollars), 0) FROM entries WHERE {conditions}",
                    [*where.values()],
                ).fetchone()[0]
            )

    def verdicts(self) -> dict[str, str]:
        return {step["stage"]: step["verdict"] for step in self.facts("plan vet")["steps"]}

    def _spread(self, word: str) -> list[str]:
        return (
            [str(path.relative_to(self.folder)) for path in sorted(self.folder.glob(word))]
            if "*" in word
            else [word]
        )


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("laptop")
    (folder / "notes").mkdir()
    for handout in (shipped("seed_tasks") / "vet").glob("*.md"):
        (folder / "notes" / handout.name).write_bytes(handout.read_bytes())
    return Place(folder)


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("gpu"))


def test_init(laptop: Place) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "alpaca_pipe", "init", "vet", "--domain", "small-animal clinic"],
        cwd=laptop.folder,
        env=laptop.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        "vet/vet.yaml" in process.stdout
        and "alpaca-pipe plan vet" in (laptop.folder / "vet" / "README.md").read_text()
    )
    recipe = laptop.folder / "vet" / "vet.yaml"
    text = recipe.read_text()
    for paid, free in REHEARSED.items():
        assert paid in text
        text = text.replace(paid, free)
    recipe.write_text(text)


def test_seeds_draft(laptop: Place) -> None:
    """Each draft is confirmed at a terminal, with its source; what was not decided comes back and is not bought again."""
    with Terminal(
        laptop.folder,
        *["seeds", "draft", "vet", "--want", "3", "--from"],
        *map(str, laptop._spread("notes/*.md")),
        env=laptop.environment,
    ) as there:
        for key in "yynq":
            there.until("q quit > ")
            there.type(f"{key}\n")
        code, said = there.end()
    assert code == 0 and "what was not decided comes back" in said
    assert "3 of 3 drafts confirmed" in laptop.say(
        "seeds draft vet --from notes/*.md --want 3 --yes"
    )
    rows = (laptop.folder / "vet" / "seeds.csv").read_text()
    assert rows.count("notes/") >= 3 and set(laptop.served().values()) == {1}
    assert "13 seed tasks" in laptop.say("seeds vet")


def test_plan_and_rehearse(laptop: Place) -> None:
    said = laptop.say("plan vet")
    assert (
        "what would save most" in said
        and "fits budget.api" in said
        and "Stanford paid under $600" in laptop.say("plan vet -v")
    )
    assert "a rehearsal: $0.00 was spent" in laptop.say("run vet --rehearse")
    assert laptop.settled(stage="generate") == laptop.settled(stage="train") == 0


def test_it_stops_before_its_budget_and_is_killed_and_buys_nothing_twice(laptop: Place) -> None:
    rehearsed = laptop.served()  # the rehearsal asked the same server
    assert "is reached" in laptop.say("run vet --until curate budget.api=0.0015", code=2)
    assert laptop.settled(**{"class": "api"}) <= 1_500_000
    had = laptop.replies()
    process = laptop.start("run vet --until curate budget.api=5 teacher.delay=1")
    until(lambda: laptop.replies() >= had + 4, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stored = laptop.replies()
    assert stored >= had + 4
    assert "accepted" in laptop.say("run vet --until curate budget.api=5 teacher.delay=0.2")
    asked = laptop.served() - rehearsed
    assert (
        laptop.replies() > stored and sum(asked.values()) - len(asked) <= 4
    )  # what was in flight at the kill, at most


def test_rows(laptop: Place) -> None:
    assert laptop.say("rows vet --sample 20").endswith("20 rows\n")
    assert "ROUGE-L F" in laptop.say("rows vet --rejected --rule likeness")


def test_review_at_a_terminal_and_in_a_browser(laptop: Place) -> None:
    with Terminal(laptop.folder, "review", "vet", env=laptop.environment) as there:
        there.until("uit ? > ")
        there.type("k")
        there.until("uit ? > ")
        there.type("d")
        there.until("why")
        there.type("not our domain\n")
        there.until("uit ? > ")
        there.type("q")
        assert there.end()[0] == 0
    laptop.say("review vet --html review.html")
    with chromium() as browser:
        page = browser.new_page()
        page.goto((laptop.folder / "review.html").as_uri())
        page.keyboard.press("d")
        page.keyboard.type("too long")
        page.keyboard.press("Enter")
        with page.expect_download() as download:
            page.keyboard.press("w")
        download.value.save_as(laptop.folder / "decisions.jsonl")
    laptop.say("review vet --take decisions.jsonl")
    assert [
        row["why"]
        for row in read_jsonl(laptop.folder / "vet" / "decisions.jsonl")
        if row["verdict"] == "drop"
    ] == ["not our domain", "too long"]


def test_a_changed_filter_sends_nothing_and_decisions_hold(laptop: Place) -> None:
    asked, cost = laptop.served(), laptop.settled(**{"class": "api"})
    recipe = laptop.folder / "vet" / "vet.yaml"
    recipe.write_text(
        recipe.read_text().replace("curate:\n", "curate:\n  filters: {media: true}\n")
    )
    assert "manual decisions: 1 kept" in laptop.say("run vet --until curate")
    assert (laptop.served(), laptop.settled(**{"class": "api"})) == (asked, cost)
    by_hand = laptop.facts("rows vet --rejected --rule by_hand")
    assert {row["reason"] for row in by_hand} >= {"not our domain"}


def test_which_teacher_is_worth_its_price(laptop: Place) -> None:
    said = laptop.say("teachers vet gpt-4.1-nano gpt-4.1-mini --pilot 8")
    assert (
        "$ an accepted row" in said
        and "gpt-4.1-nano is cheaper" in said
        and "the same prompt, a row of each" in said
    )


def test_two_machines_and_one_set_of_books(laptop: Place, gpu: Place) -> None:
    laptop.say("pack vet --for train")
    assert "lent with vet.tar.zst" in laptop.say("ledger vet")
    assert "budget.gpu" in laptop.say("run vet", code=2)  # what is lent cannot be spent here too
    (gpu.folder / "vet.tar.zst").write_bytes((laptop.folder / "vet.tar.zst").read_bytes())
    gpu.say("unpack vet.tar.zst")
    assert {
        kind: verdict for kind, verdict in gpu.verdicts().items() if verdict == "up to date"
    } == dict.fromkeys(ROAD[:2], "up to date")
    assert "verdict" in gpu.say("run vet")
    gpu.say("pack vet --only results")
    (laptop.folder / "vet-results.tar.zst").write_bytes(
        (gpu.folder / "vet-results.tar.zst").read_bytes()
    )
    here, there = laptop.settled(), gpu.settled()
    assert there > 0
    laptop.say("unpack vet-results.tar.zst")
    assert laptop.settled() == here + there <= 10_000_000_000
    assert laptop.verdicts() == dict.fromkeys(ROAD, "up to date")
    laptop.say("unpack vet-results.tar.zst")
    assert laptop.settled() == here + there


def test_chat_and_report(laptop: Place) -> None:
    answer = json.loads(
        laptop.say("chat vet --max-tokens 8 --json", typed="When are you open?\n").splitlines()[-1]
    )
    assert answer["instruction"] == "When are you open?" and answer["output"]
    assert "report.html" in laptop.say("report vet --open")
    assert "may we sell it" in (laptop.folder / "runs" / "vet" / "report.html").read_text().lower()


def test_another_teacher_and_the_two_runs_side_by_side(laptop: Place) -> None:
    asked = sum(laptop.served().values())
    laptop.say("run vet teacher.model=gpt-4.1-mini")
    assert sum(laptop.served().values()) > asked
    said = laptop.say(f"compare vet@2 vet@{time.strftime('%b', time.gmtime()).lower()}")
    assert "teacher.model" in said and "rows" in said and "held-out loss" in said and "95 %" in said
    assert laptop.say("history vet").count(
        "runs/vet/reports/"
    ) >= 2 and "nothing to clear away" in laptop.say("gc --dry-run")
