"""Every style by every weather: the same bytes at any concurrency, and after a kill exactly what is missing is sent."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from alpaca_pipe.core.files import digest_of, read_jsonl, shipped, write_jsonl
from alpaca_pipe.generate.style_registry import style_names
from alpaca_pipe.ledger.store import connection
from tests.road.drive import Road
from tests.road.test_road import dataset
from tests.waiting import killed, until

# What each style needs besides its name.
ROWS = "generate.rows=rows.jsonl"
NEEDS = {
    "documents": ("generate.documents=[notes.md]",),
    "orca": (ROWS,),
    "constitutional": (ROWS,),
    "react": (ROWS,),
    "evol": (ROWS, "generate.depth=2"),
}
STYLES = {name: NEEDS.get(name, ()) for name in style_names()}
# One that asks for lists, one that asks twice for a row, one that asks about what it made; `make test-all` asks all.
EVERY_DAY = {"alpaca", "two-step", "evol"}
LIMIT = ("generate.count=100000", "generate.max_requests=100", "--until", "generate")


def road_at(home: Path) -> Road:
    """A folder with the recipe, some documents and some rows."""
    road = Road.make(home)
    seeds = list(read_jsonl(shipped("seed_tasks") / "alpaca.jsonl"))
    write_jsonl(
        road.home / "rows.jsonl",
        ({name: row.get(name, "") for name in ("instruction", "input", "output")} for row in seeds),
    )
    (road.home / "notes.md").write_text("\n\n".join(row["output"] for row in seeds))
    return road


def asked(style: str, concurrency: int, delay: float = 0.0) -> tuple[str, ...]:
    return (
        f"generate.style={style}",
        *STYLES[style],
        f"teacher.concurrency={concurrency}",
        f"teacher.delay={delay}",
        *LIMIT,
    )


@pytest.fixture(
    scope="module",
    params=[
        name if name in EVERY_DAY else pytest.param(name, marks=pytest.mark.slow) for name in STYLES
    ],
)
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Road]]:
    """A style and a run of a hundred requests in it."""
    road = road_at(tmp_path_factory.mktemp("style"))
    road.run(*asked(request.param, 8))
    yield request.param, road


def stored(road: Road) -> set[str]:
    """What was asked, of all requests with a reply in the ledger, as the server counts it."""
    with closing(connection.read_only(road.home / "runs" / "ledger.sqlite")) as db:
        rows = [json.loads(row[0]) for row in db.execute("SELECT request FROM replies")]
    return {digest_of(row) for row in rows}


@pytest.mark.parametrize("concurrency", [1, pytest.param(64, marks=pytest.mark.slow)])
def test_the_same_bytes_at_another_concurrency(
    whole: tuple[str, Road], tmp_path: Path, concurrency: int
) -> None:
    style, first = whole
    road = road_at(tmp_path / "other")
    road.run(*asked(style, concurrency))
    assert dataset(road) == dataset(first)


def test_killed_after_reply_37_it_sends_exactly_what_has_no_reply(
    whole: tuple[str, Road], tmp_path: Path
) -> None:
    style, first = whole
    road = road_at(tmp_path / "killed")
    process = road.start(*asked(style, 8, delay=0.3))
    ledger = road.home / "runs" / "ledger.sqlite"
    until(lambda: ledger.exists() and count(ledger) >= 37, process)
    killed(process)
    gc.collect()  # no connection of this process is left that would see less than the next one
    kept, before = stored(road), road.served()
    assert 37 <= len(kept) < len(first.served())
    road.run(*asked(style, 8))
    assert road.served() - before == Counter(set(first.served()) - kept)
    assert dataset(road) == dataset(first)


def count(ledger: Path) -> int:
    try:
        with closing(connection.read_only(ledger)) as db:
            return int(db.execute("SELECT COUNT(*) FROM replies").fetchone()[0])
    except Exception:  # noqa: BLE001 - it is being made
        return 0
