"""The storm of `make chaos`, small enough for every day: two kills, one fatal answer, a cap at half of the price."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proving.chaos import chaos


def test_nothing_is_lost_or_paid_twice_in_a_small_storm(tmp_path: Path) -> None:
    figures = chaos(tmp_path, requests=120, kills=2, concurrency=64, seed=7, latency=0.02)
    assert figures["runs"]["killed"] == 2 and figures["runs"]["done"] == 1
    assert len(figures["caps"]) > 1, "the cap was reached and raised"
    assert figures["settled"] == figures["billed"]


@pytest.mark.slow
def test_the_same_with_hostile_replies(tmp_path: Path) -> None:
    figures = chaos(
        tmp_path, requests=400, kills=2, concurrency=64, seed=7, latency=0.02, hostile=0.05
    )
    assert figures["settled"] == figures["billed"]


@pytest.mark.slow
def test_the_same_by_batches(tmp_path: Path) -> None:
    figures = chaos(tmp_path, requests=400, kills=5, concurrency=64, seed=7, batches=True)
    assert figures["runs"]["killed"] == 5 and figures["settled"] == figures["billed"]
