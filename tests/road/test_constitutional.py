"""Draft, critique and revision on the whole road: killed and again, the same bytes; another principle, and only its rows are bought."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from alpaca_pipe.core.files import digest_of, read_jsonl, shipped, write_jsonl
from alpaca_pipe.ledger.store import connection
from tests.road.drive import Road
from tests.road.test_road import dataset
from tests.waiting import killed, until

ROWS = 24
PRINCIPLES = ["Be kind.", "Be brief.", "Be exact."]


def road_at(home: Path) -> Road:
    road = Road.make(home)
    rows = list(read_jsonl(shipped("seed_tasks") / "systems" / "requests.jsonl"))
    write_jsonl(home / "rows.jsonl", rows[:ROWS])
    write_principles(home, "Say what is wrong.")
    return road


def write_principles(home: Path, critique: str) -> None:
    """Three sentences, and one in words of its own."""
    own = {"name": "own", "critique": critique, "revision": "Write it again."}
    (home / "principles.yaml").write_text(json.dumps([*PRINCIPLES, own]))


def asked(delay: float = 0.0) -> tuple[str, ...]:
    return (
        "generate.style=constitutional",
        "generate.rows=rows.jsonl",
        "generate.principles=principles.yaml",
        f"generate.count={ROWS}",
        "teacher.concurrency=4",
        f"teacher.delay={delay}",
        "--until",
        "generate",
    )


def stored(road: Road) -> dict[str, str]:
    """All requests with a reply in the ledger: as the server counts them, and as they are written."""
    ledger = road.home / "runs" / "ledger.sqlite"
    if not ledger.exists():
        return {}
    with closing(connection.read_only(ledger)) as db:
        rows = [row[0] for row in db.execute("SELECT request FROM replies")]
    return {digest_of(json.loads(row)): row for row in rows}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Road:
    road = road_at(tmp_path_factory.mktemp("whole"))
    road.run(*asked())
    return road


def test_killed_between_its_calls_it_goes_on_to_the_same_bytes(whole: Road, tmp_path: Path) -> None:
    road = road_at(tmp_path / "killed")
    process = road.start(*asked(delay=0.2))
    served = road.home / "served.jsonl"
    until(lambda: served.exists() and served.read_bytes().count(b"\n") >= 10, process)
    killed(process)
    kept, before = stored(road), road.served()
    assert len(kept) < len(stored(whole))
    road.run(*asked())
    assert not (road.served() - before).keys() & kept.keys()  # nothing is bought twice
    assert dataset(road) == dataset(whole)
    assert stored(road).keys() == stored(whole).keys()


def test_a_changed_principle_buys_only_the_calls_that_it_stands_in(whole: Road) -> None:
    before, rows = stored(whole), list(read_jsonl(whole.step("generate") / "examples.jsonl"))
    write_principles(whole.home, "Name its worst sentence.")
    whole.run(*asked())
    bought = [written for key, written in stored(whole).items() if key not in before]
    after = list(read_jsonl(whole.step("generate") / "examples.jsonl"))
    touched = [row for row in after if row["origin"]["details"]["principle"] == "own"]
    assert touched and all("Name its worst sentence." in written for written in bought)
    assert 2 * len(touched) <= len(bought) < 2 * ROWS / 2
    others = [row for row in after if row not in touched]
    assert others and all(row in rows for row in others)
