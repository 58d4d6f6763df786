"""The operator's week: a run that stands still for nobody - who is told, what a kill, a closed window and a closed pipe cost, the
cap, the page beside it, the books by month, a pack.

Real processes, signals, a pseudo-terminal, Chromium and a webhook's server. The lines build on each other, so they are tests in an
order, over one folder.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_pipe.core.files import read_jsonl
from tests.browser import chromium
from tests.command import command, told
from tests.terminal import Terminal
from tests.waiting import PATIENCE, until
from tests.watch.live_page import says, seen, watching
from tests.webhook import Heard, hearing
from tests.week.books import amounts, in_dollars, in_doubt, replies, settled

if TYPE_CHECKING:
    from playwright.sync_api import Page

IN_FLIGHT = 4  # of the recipe: what a kill can lose
NIGHT = (  # so long that nothing here comes to its end unasked
    f"teacher: {{kind: rehearsed, model: gpt-4.1-nano, delay: 0.3, concurrency: {IN_FLIGHT}, served: served.jsonl}}\n"
    "budget: {api: 9}\n"
    "generate: {count: 12000, round_size: 8}\n"
    "curate: {held_out: 6}\n"
    "on:\n"
    "  done: [$DESK, 'cat >> told.jsonl']\n"
    "  stopped: [$DESK, 'cat >> told.jsonl']\n"
    "  failed: $DESK\n"
    "  budget_80: ['http://127.0.0.1:9/hooks/a-secret-path', 'exit 3']\n"
)


@dataclass(frozen=True)
class Shift:
    """A folder, and a chat service that is told how its runs end; the address stands in a variable."""

    home: Path
    heard: Heard

    @property
    def variables(self) -> dict[str, str]:
        return {"DESK": self.heard.address}

    def begin(self, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "alpaca_pipe", "run", "desk"],
            cwd=self.home,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | self.variables,
            **{"stdout": subprocess.DEVNULL} | options,
        )

    def at_a_terminal(self, before: str = "") -> Terminal:
        return Terminal(self.home, "run", "desk", env=self.variables, before=before)

    def more_replies(self, there: Terminal) -> None:
        had = replies(self.home)
        there.meanwhile(lambda: replies(self.home) >= had + 2)

    def last_told(self) -> dict[str, Any]:
        return self.heard.posted[-1]

    def asked_again(self) -> int:
        """Questions that the teacher's server answered once more."""
        file = self.home / "served.jsonl"
        return sum(Counter(row["asked"] for row in read_jsonl(file)).values()) - len(
            {row["asked"] for row in read_jsonl(file)}
        )


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    home = tmp_path_factory.mktemp("operator")
    (home / "desk.yaml").write_text(NIGHT)
    with hearing() as heard:
        yield Shift(home, heard)


def test_a_cap_ends_it_before_it_is_passed_and_a_hook_that_is_down_changes_nothing(
    shift: Shift,
) -> None:
    done = command(
        "run",
        "desk",
        *("budget.api=0.0009", "budget.go_on=true", "teacher.delay=0"),
        cwd=shift.home,
        **shift.variables,
    )
    assert done.code == 2 and "is reached" in done.err
    said = done.err + done.out
    assert "on.budget_80: 127.0.0.1 was not told" in said and "`exit 3` was not told" in said
    assert "a-secret-path" not in said
    told_of = shift.last_told()
    assert (told_of["event"], told_of["cause"]) == ("stopped", "budget")
    assert round(told_of["dollars"] * 1e9) == settled(shift.home) <= 900_000
    assert json.loads((shift.home / "told.jsonl").read_text()) == told_of


def test_killed_it_goes_on_and_buys_no_stored_reply_again(shift: Shift) -> None:
    had, told_before = replies(shift.home), len(shift.heard.posted)
    process = shift.begin()
    until(lambda: replies(shift.home) >= had + 4, process)
    process.kill()
    process.wait()
    assert "half done" in told("status", "desk", cwd=shift.home)
    assert len(shift.heard.posted) == told_before  # who is killed tells nobody
    with shift.at_a_terminal() as there:
        shift.more_replies(there)
        there.type("\x03")
        code, said = there.end()
    assert code == 130 and "Traceback" not in said
    assert in_doubt(shift.home) <= IN_FLIGHT and shift.asked_again() <= IN_FLIGHT
    assert (shift.last_told()["event"], shift.last_told()["cause"]) == ("stopped", "person")


def test_a_closed_window_ends_it_in_order_and_under_nohup_not_at_all(shift: Shift) -> None:
    lost = in_doubt(shift.home)
    with shift.at_a_terminal() as there:
        shift.more_replies(there)
        there.hang_up()
        assert there.process.wait(PATIENCE) == 130
    assert shift.last_told()["event"] == "stopped" and in_doubt(shift.home) == lost
    told_before = len(shift.heard.posted)
    ignored = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"  # as nohup or disown do
    with shift.at_a_terminal(before=ignored) as there:
        shift.more_replies(there)
        there.hang_up()
        had = replies(shift.home)
        until(lambda: replies(shift.home) >= had + 8, there.process)
        there.process.send_signal(signal.SIGTERM)
        assert there.process.wait(PATIENCE) == 130
    assert len(shift.heard.posted) == told_before + 1 and in_doubt(shift.home) == lost


def test_nobody_reads_its_output_any_more(shift: Shift) -> None:
    """`run desk | head -1`"""
    process = shift.begin(stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE) == 141
    assert (shift.last_told()["event"], shift.last_told()["cause"]) == ("stopped", "output")


def test_it_is_watched_from_another_terminal(shift: Shift) -> None:
    with shift.at_a_terminal() as run, Terminal(shift.home, "status", "desk", "--watch") as there:
        shift.more_replies(run)
        there.until("running")
        there.type("\x03")
        assert there.end()[0] == 0
        shift.more_replies(run)  # nobody disturbed it
        run.type("\x03")
        assert run.end()[0] == 130


def test_the_page_shows_a_stop_and_the_end_and_the_same_cents(shift: Shift) -> None:
    """In Chromium, open all the while: a run at a terminal, Ctrl-C, the same command to its end; then its report."""
    with (
        chromium() as browser,
        watching("desk", cwd=shift.home) as url,
        seen(browser, url) as page,
    ):
        says(page, "was stopped before its end")
        with shift.at_a_terminal() as there:
            there.meanwhile(lambda: "running generate" in (page.text_content("#headline") or ""))
            there.type("\x03")
            assert there.end()[0] == 130
        says(page, "was stopped before its end")
        _same_cents(page, shift)
        finish(shift)
        says(page, "finished")
        _same_cents(page, shift)
        page.wait_for_selector("#report:visible")
        with browser.new_context().new_page() as report:
            report.goto(url + "report")
            (dollars,) = report.locator(".figures div", has_text="dollars").all_inner_texts()
            (shown,) = amounts(dollars)
            assert shown == in_dollars(settled(shift.home), shown)


def _same_cents(page: Page, shift: Shift) -> None:
    """The page's sum is the ledger's, once it has looked at what the run wrote last."""
    row = page.locator("#money tr.total")
    until(
        lambda: row.count() and amounts(row.inner_text()) == [f"${settled(shift.home) / 1e9:.4f}"]
    )


def finish(shift: Shift) -> None:
    """Sixty rows are enough after all: what is stored already is not asked again."""
    (shift.home / "desk.yaml").write_text(
        NIGHT.replace("count: 12000", "count: 60").replace("delay: 0.3", "delay: 0")
    )
    process = shift.begin(stdout=subprocess.PIPE)  # Chromium's client has this process's loop
    said = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, said


def test_it_is_finished_and_told_and_every_cent_is_where_it_should_be(shift: Shift) -> None:
    finish(shift)
    assert "everything is up to date" in told("plan", "desk", cwd=shift.home)
    last, spent = shift.last_told(), settled(shift.home)
    assert last["event"] == "done" and round(last["dollars_of_all_runs"] * 1e9) == spent
    books = json.loads(told("ledger", "show", "desk", "--json", cwd=shift.home))
    assert books["total"]["nanodollars"]["settled"] == spent
    assert (
        shift.asked_again() <= IN_FLIGHT
    )  # of the kill; no stop, no lost terminal, no closed pipe cost anything
    kept = [path for path in shift.home.rglob("*") if path.is_file() and path.suffix != ".sqlite"]
    assert not [path for path in kept if shift.heard.address.encode() in path.read_bytes()]


def test_one_row_and_its_cents_are_followed_home(shift: Shift) -> None:
    (row,) = json.loads(told("rows", "desk", "--sample", "1", "--json", cwd=shift.home))
    assert settled(shift.home, *_cents_of(row["id"], shift.home)[:1]) > 0


def _cents_of(id: str, home: Path) -> tuple[str, int]:
    """The request that brought a row, and what it cost in nano-dollars, by `trace`."""
    road = told("trace", id, cwd=home)
    (request,) = re.findall(r"^request (r1-\w+)", road, re.MULTILINE)
    (cost,) = re.findall(r"settled \S+ \(([\d,]+) nano-dollars\)", road)
    nanodollars = int(cost.replace(",", ""))
    assert nanodollars == settled(home, request)
    return request, nanodollars


def test_the_books_by_month_and_marked_as_simulated(shift: Shift) -> None:
    said = told("ledger", "show", "desk", "--by", "month", cwd=shift.home)
    days = re.findall(
        r"\d{4}-\d\d-\d\d", told("ledger", "show", "desk", "--by", "day", cwd=shift.home)
    )
    assert days and all(day[:7] in said for day in days) and "simulated" in said
    assert command("verify", cwd=shift.home).code == 0


def test_a_pack_is_unpacked_elsewhere_up_to_date(shift: Shift, tmp_path: Path) -> None:
    packed = command(
        *("pack", "desk", "--for", "curate", "curate.held_out=4", "-o", "desk.tar.zst"),
        cwd=shift.home,
    )
    assert packed.code == 0
    assert shift.heard.address.encode() not in (shift.home / "desk.tar.zst").read_bytes()
    os.rename(shift.home / "desk.tar.zst", tmp_path / "desk.tar.zst")
    done = command("unpack", "desk.tar.zst", "--yes", cwd=tmp_path)
    assert done.code == 0, done.err
    steps = json.loads(told("plan", "desk", "--json", cwd=tmp_path))["steps"]
    assert {step["stage"]: step["verdict"] for step in steps}["generate"] == "up to date"
