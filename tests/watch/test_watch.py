"""`watch` and `status --watch` beside real runs: what the page shows, to whom it answers, and that it touches nothing."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.files import write_json
from alpaca_pipe.recipe.status import status
from alpaca_pipe.recipe.status_watch import watch_status
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.watch.look import WatchedRecipe, look, thinned
from tests.browser import chromium
from tests.command import command
from tests.recipe.test_runner import start
from tests.recipe.toy import give, run_toy
from tests.road.drive import Road
from tests.terminal import Terminal
from tests.waiting import PATIENCE, until
from tests.watch.live_page import says, seen, watching

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


def files(folder: Path) -> dict[str, bytes]:
    """All but the helper files that SQLite keeps beside a ledger that is read."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_beside_a_run_two_watch_and_see_its_end(
    browser: Browser, recipe: Path, counts: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "runs")
    run = start(recipe, workspace.root, turns=3)
    try:
        until(lambda: (now := status(workspace, "toy").now) and now.counted, run)
        with watching("toy", cwd=tmp_path) as url, seen(browser, url) as one:
            says(one, "running sow")
            assert "of 30" in (one.text_content("#figures") or "")
            with seen(browser, url) as other:
                says(other, "running sow")
                give(run, 30)
                for page in (one, other):
                    says(page, "finished")
                    assert page.locator("#stages .sealed").count() == 3
    finally:
        run.communicate(timeout=PATIENCE)
    assert run.returncode == 0  # looking has disturbed nothing


def test_before_a_run_after_it_and_while_losses_come(browser: Browser, tmp_path: Path) -> None:
    road = Road.make(tmp_path)
    runs = tmp_path / "runs"
    with watching("road.yaml", cwd=tmp_path) as url, seen(browser, url) as page:
        says(page, "no run has begun here yet")
        assert not runs.exists()
        assert page.locator("#stages .to").count() == 5
        run = road.start("--until", "curate")  # a process: the browser's client has this one's loop
        said = run.communicate(timeout=PATIENCE)[0]
        assert run.returncode == 0, said
        says(page, "finished")
        assert page.locator("#stages .sealed").count() == 2
        page.wait_for_selector("#rounds rect.kept")
        assert "requests of generate" in (page.text_content("#money") or "")
        assert "of it simulated: a scripted teacher" in (page.text_content("#figures") or "")
        page.wait_for_selector("#report")  # it is written after the last line of the history
        # a tune that writes its losses, line by line
        begun = runs / "road" / "begun.json"
        write_json(begun, json.loads(begun.read_text()) | {"train": "train-0"})
        train = runs / "store" / "train-0"
        train.mkdir()
        with (train / "loss.jsonl").open("a") as log:
            for first, last in ((1, 2), (3, 5)):
                for step in range(first, last + 1):
                    log.write(json.dumps({"which": "tuned", "step": step, "loss": 2 / step}) + "\n")
                log.flush()
                page.wait_for_function(
                    "last => document.querySelector('.line.tuned')?.points.length === last",
                    arg=last,
                )
            log.write('{"which": "tuned", "st')  # one that is being written
        before = files(runs)
        page.reload()
        page.wait_for_selector(".line.tuned")
        with browser.new_context().new_page() as report:
            report.goto(url + "report")
            assert "road" in report.title()
    assert files(runs) == before


def test_what_comes_from_outside_is_text(tmp_path: Path, browser: Browser) -> None:
    own = tmp_path / "runs" / "toy"
    own.mkdir(parents=True)
    bad = "<img src=x onerror=alert(1)></script><script>document.title='taken'</script>"
    row = {"at": "2026-11-30T10:00:00+00:00", "run": "r", "stage": bad, "level": "info"}
    rows = [row | {"event": "began", "pid": 1}, row | {"event": "said", "sentence": bad}]
    (own / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    with watching("toy", cwd=tmp_path) as url, seen(browser, url) as page:
        says(page, "its process ended unexpectedly")
        assert bad in (page.text_content("#said") or "") and "taken" not in page.title()


def test_it_answers_this_machine_and_takes_no_orders(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    run_toy(recipe, tmp_path / "runs")
    before = files(tmp_path / "runs")
    with watching("toy", cwd=tmp_path) as url:
        host = url.removeprefix("http://").rstrip("/")

        def asked(method: str, path: str, **headers: str) -> int:
            connection = http.client.HTTPConnection(host, timeout=PATIENCE)
            connection.request(method, path, headers=headers)
            return connection.getresponse().status

        assert asked("GET", "/") == asked("GET", "/state.json") == 200
        assert asked("GET", "/", Host="evil.example") == 421
        assert asked("GET", "/state.json", Origin="http://evil.example") == 403
        assert asked("POST", "/state.json") == 405
        assert asked("GET", "/../ledger.sqlite") == asked("GET", "/ledger.sqlite") == 404
    assert files(tmp_path / "runs") == before


def test_what_cannot_be_watched_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    Road.make(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command("watch", "road.yaml", "--port", port, cwd=tmp_path)
    assert done.code == 2 and f"port {port} of this machine is in use" in done.err
    done = command("watch", "quikstart", "--port", "0", cwd=tmp_path)
    assert done.code == 2 and "quickstart" in done.err and "Traceback" not in done.err


def test_damaged_files_are_said_and_not_raised(recipe: Path, counts: Path, tmp_path: Path) -> None:
    run_toy(recipe, tmp_path / "runs")
    workspace = Workspace(tmp_path / "runs")
    watched = WatchedRecipe(workspace, "toy", ("sow", "reap", "sell"), False)
    assert look(watched).state == "ended" and not look(watched).trouble
    done = next(workspace.store.root.glob("sow-*/done.json"))
    done.write_text(done.read_text().replace('"seconds"', '"Seconds"'))
    workspace.ledger.write_bytes(b"no ledger")
    found = look(watched)
    assert found.trouble and found.recipe == "toy"
    (workspace.of("toy") / "history.jsonl").write_bytes(b"\xff\xfe")
    assert look(watched).trouble


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 99)), min_size=1, max_size=2000))
def test_a_thinned_curve_is_some_of_its_points(points: list[tuple[float, float]]) -> None:
    few, place = thinned(points), -1
    assert len(few) <= 300 and few[0] == points[0] and few[-1] == points[-1]
    for one in few:
        place = points.index(one, place + 1)  # in their order, each at most once


def test_status_watch_prints_what_has_changed(
    recipe: Path, counts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path / "runs")
    looks = 0

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            run_toy(recipe, workspace.root)
        if looks == 4:
            raise KeyboardInterrupt

    watch_status(workspace, None, False, pause)
    out = capsys.readouterr().out
    assert out.count("nothing was run") == 1 and out.count("toy  not running") == 1
    looks = 2
    watch_status(workspace, "toy", True, pause)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["recipes"][0]["recipe"] == "toy"


def test_status_watch_at_a_terminal_ends_by_ctrl_c(
    recipe: Path, counts: Path, tmp_path: Path
) -> None:
    run_toy(recipe, tmp_path / "runs")
    with Terminal(tmp_path, "status", "toy", "--watch") as terminal:
        terminal.until("not running; its last run done")
        terminal.type("\x03")
        code, rest = terminal.end()
    assert code == 0 and "Traceback" not in rest


def state(url: str) -> Any:
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"))
    connection.request("GET", "/state.json")
    return json.loads(connection.getresponse().read())


@pytest.mark.slow
def test_a_whole_road_is_shown_while_it_goes_on(tmp_path: Path) -> None:
    """Every stage of a real run is seen at work, with its counts, by somebody who asks again and again."""
    road, stages, counted = Road.make(tmp_path), set[str](), set[str]()
    with watching("road.yaml", cwd=tmp_path) as url:
        process = road.start()
        try:
            while process.poll() is None:
                found = state(url)
                if found["state"] == "running":
                    stages |= {one["kind"] for one in found["stages"] if one["state"] == "running"}
                    counted |= {found["progress"].get("unit", "")}
            assert process.returncode == 0
            last = until(lambda: (now := state(url))["state"] == "ended" and now)
        finally:
            process.kill()
            process.communicate()
    assert {"train", "evaluate"} <= stages and "steps" in counted
    assert len(last["curves"]["tuned"]) == 6 and last["report"] and last["money"]["lines"]
    assert os.path.exists(tmp_path / "runs" / "road" / "report.html")
