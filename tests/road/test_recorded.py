"""Recorded replies of the real embedded model (two rounds of the quickstart) give the same bytes, whatever the weather."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from alpaca_pipe.core.files import read_jsonl
from tests.road.drive import Road
from tests.road.test_road import dataset, kill_after_requests

LINES = Path(__file__).with_name("recorded.jsonl")
TEXTS = "f9d6805dcc444448"


def recorded(road: Road, concurrency: int, delay: float) -> tuple[str, ...]:
    served = road.home / "served.jsonl"
    teacher = (
        f"{{kind: rehearsed, model: recorded, lines: '{LINES}', price: free, served: '{served}', "
        f"concurrency: {concurrency}, delay: {delay}}}"
    )
    return (f"teacher={teacher}", "generate.count=25", "--until", "generate")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Road:
    road = Road.make(tmp_path_factory.mktemp("plain"), "quickstart")
    road.run(*recorded(road, 4, 0.0))
    return road


def test_the_rows_are_the_ones_that_the_model_wrote_then(plain: Road) -> None:
    """A golden digest: when it changes, raise generate's version or mend what changed."""
    rows = [
        (row["instruction"], row["input"], row["output"])
        for row in read_jsonl(plain.step("generate") / "examples.jsonl")
    ]
    assert len(rows) >= 25
    assert hashlib.sha256(repr(rows).encode()).hexdigest()[:16] == TEXTS


@pytest.mark.slow  # tests/road/test_styles.py does so in each style
@pytest.mark.parametrize("concurrency", [1, 32])
def test_the_same_bytes_at_another_concurrency(
    plain: Road, tmp_path: Path, concurrency: int
) -> None:
    road = Road.make(tmp_path / "other", "quickstart")
    road.run(*recorded(road, concurrency, 0.01))
    assert dataset(road) == dataset(plain)


def test_the_same_bytes_after_kills(plain: Road, tmp_path: Path) -> None:
    road = Road.make(tmp_path / "killed", "quickstart")
    hits = kill_after_requests(road, 2, 4, random.Random(7), *recorded(road, 4, 0.05))
    road.run(*recorded(road, 4, 0.05))
    assert dataset(road) == dataset(plain)
    assert sum(road.served().values()) - len(road.served()) <= 4 * hits
