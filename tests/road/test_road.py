"""The whole road with a scripted teacher and a random two-layer LLaMA: twice, in pieces, killed, and at any concurrency."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from alpaca_pipe.core.files import read_json, read_jsonl
from tests.road.drive import Road
from tests.waiting import until

DATASET = ("examples.jsonl", "rejected.jsonl", "seats.jsonl")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Road:
    """A road that ran to its end undisturbed."""
    road = Road.make(tmp_path_factory.mktemp("whole"))
    printed = road.run()
    (road.home / "printed").write_text(printed)
    return road


def dataset(road: Road) -> dict[str, bytes]:
    folder = road.step("generate")
    return {name: (folder / name).read_bytes() for name in DATASET}


def test_it_ends_with_what_a_newcomer_wants_to_know(whole: Road) -> None:
    printed = (whole.home / "printed").read_text()
    for word in ("accepted", "held-out loss", "base", "tuned", "shuffled", "$", "report"):
        assert word in printed, printed
    assert (whole.home / "runs" / "road" / "report.html").stat().st_size < 1_000_000


def test_again_everything_is_up_to_date_and_nothing_is_sent(whole: Road) -> None:
    before = whole.served()
    printed = whole.run()
    assert printed.count("up to date") == 5
    assert whole.served() == before
    assert len(list(read_jsonl(whole.home / "runs/road/history.jsonl"))) == 1


def test_the_funnel_adds_up_from_reply_to_training_row(whole: Road) -> None:
    generated = read_json(whole.step("generate") / "done.json")["summary"]
    assert generated["accepted"] + sum(generated["rejected"].values()) == generated["pieces"]
    curated = read_json(whole.step("curate") / "done.json")["summary"]
    assert curated["read"] == generated["accepted"]
    assert curated["kept"] + sum(curated["rejected"].values()) == curated["read"]
    assert curated["train"] + curated["held_out"] == curated["kept"]


def test_every_row_is_traceable_to_its_request_and_its_cents(whole: Road) -> None:
    row = next(read_jsonl(whole.step("curate") / "examples.jsonl"))
    done = subprocess.run(
        [sys.executable, "-m", "alpaca_pipe", "trace", row["id"]],
        cwd=whole.home,
        capture_output=True,
        text=True,
        check=True,
    )
    assert row["origin"]["source"] in done.stdout
    assert row["instruction"][:30] in done.stdout
    assert "$" in done.stdout


def test_the_dataset_is_readable_without_us(whole: Road) -> None:
    files = sorted(whole.step("export").rglob("alpaca_data.json"))
    rows = json.loads(files[0].read_text())
    assert rows and set(rows[0]) == {"instruction", "input", "output"}


@pytest.mark.parametrize("concurrency", [pytest.param(1, marks=pytest.mark.slow), 32])
def test_the_same_bytes_at_any_concurrency(whole: Road, tmp_path: Path, concurrency: int) -> None:
    road = Road.make(tmp_path / "other")
    road.run(f"teacher.concurrency={concurrency}", "teacher.delay=0.01", "--until", "generate")
    assert dataset(road) == dataset(whole)


def test_a_copied_recipe_with_another_filter_buys_nothing_twice(tmp_path: Path) -> None:
    road = Road.make(tmp_path / "copied")
    road.run("--until", "generate")
    before = road.served()
    (road.home / "copy.yaml").write_text(
        (road.home / "road.yaml").read_text().replace("name: road", "name: copy")
    )
    Road(road.home, "copy.yaml").run("generate.likeness=0.6", "--until", "generate")
    assert len(before) == 16
    assert all(road.served()[asked] == 1 for asked in before)


def kill_at_random(
    road: Road, kills: int, longest: float, dice: random.Random, *arguments: str
) -> int:
    """Kills the run so many times at moments drawn from its whole length. Gives how many kills hit a living process."""
    hit = 0
    for _ in range(kills):
        process = road.start(*arguments)
        try:
            process.wait(timeout=dice.uniform(0.5, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            hit += 1
        process.communicate()
    return hit


def kill_after_requests(
    road: Road, kills: int, most: int, dice: random.Random, *arguments: str
) -> int:
    """Kills the run so many times, each after up to `most` more requests. Gives how many kills hit a living process."""
    hit = 0
    for _ in range(kills):
        goal, process = asked(road) + dice.randint(0, most), road.start(*arguments)
        until(lambda goal=goal, process=process: process.poll() is not None or asked(road) >= goal)
        hit += process.poll() is None
        process.kill()
        process.communicate()
    return hit


def asked(road: Road) -> int:
    return sum(road.served().values())


def check_after_kills(road: Road, whole: Road, hits: int, concurrency: int) -> None:
    assert dataset(road) == dataset(whole)
    assert set(road.served()) == set(whole.served())
    again = sum(road.served().values()) - len(road.served())
    assert again <= hits * concurrency  # only what was in flight at a kill, never a stored reply


@pytest.mark.parametrize(
    ("concurrency", "delay"),
    [
        pytest.param(1, 0.05, marks=pytest.mark.slow),
        (4, 0.1),
        pytest.param(32, 0.5, marks=pytest.mark.slow),
    ],
)
def test_killed_while_it_generates(
    whole: Road, tmp_path: Path, concurrency: int, delay: float
) -> None:
    road = Road.make(tmp_path / "killed")
    slow = (f"teacher.delay={delay}", f"teacher.concurrency={concurrency}", "--until", "generate")
    hits = kill_after_requests(road, 2, 6, random.Random(11), *slow)
    road.run(*slow)
    check_after_kills(road, whole, hits, concurrency)


def files_of(road: Road, stage: str) -> int:
    """How many the step of a stage has written so far."""
    return sum(1 for _ in (road.home / "runs" / "store").glob(f"{stage}-*/**/*"))


@pytest.mark.parametrize(
    "stage",
    [
        stage if stage == "train" else pytest.param(stage, marks=pytest.mark.slow)
        for stage in ("curate", "train", "evaluate", "export")
    ],
)
def test_killed_inside_a_stage_then_only_what_is_missing_runs(
    whole: Road, tmp_path_factory: pytest.TempPathFactory, stage: str
) -> None:
    road = Road.make(
        tmp_path_factory.getbasetemp() / "pieces"
    )  # one road for all of them, each killed on the way
    process = road.start("--until", stage)
    goal = random.Random(stage).randint(1, 6)  # files, from stage.json on
    until(lambda: process.poll() is not None or files_of(road, stage) >= goal)
    process.kill()
    process.communicate()
    before = road.seals()
    road.run("--until", stage)
    assert before.items() <= road.seals().items()  # what was sealed did not run again
    assert dataset(road) == dataset(whole)
    assert road.served() == whole.served() or sum(road.served().values()) - len(road.served()) <= 4


def test_the_interrupted_road_has_the_losses_of_the_uninterrupted_one(
    whole: Road, tmp_path_factory: pytest.TempPathFactory
) -> None:
    road = Road(tmp_path_factory.getbasetemp() / "pieces")
    if not (road.home / "runs/road/lock.json").exists():
        pytest.skip("runs after the tests that kill inside a stage")
    road.run("--until", "evaluate")
    losses = [list(read_jsonl(one.step("train") / "loss.jsonl")) for one in (road, whole)]
    assert losses[0] == losses[1]
    assert read_json(road.step("evaluate") / "verdict.json") == read_json(
        whole.step("evaluate") / "verdict.json"
    )


@pytest.mark.slow
def test_twenty_kills_over_the_whole_road(whole: Road, tmp_path: Path) -> None:
    """Killed again and again until it is through; then another road, until twenty kills have hit."""
    dice, all_hits, roads = random.Random(20), 0, 0
    while all_hits < 20:
        road, hits, roads = Road.make(tmp_path / str(roads)), 0, roads + 1
        while kill_at_random(road, 1, 12.0, dice, "teacher.delay=0.2"):
            hits += 1
        road.run("teacher.delay=0.2")
        check_after_kills(road, whole, hits, 4)
        assert list(read_jsonl(road.step("train") / "loss.jsonl")) == list(
            read_jsonl(whole.step("train") / "loss.jsonl")
        )
        all_hits += hits
    print(f"{all_hits} kills on {roads} roads")
