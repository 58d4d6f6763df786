"""`engine: ray` on two workers, one of which is killed: the same rows (250,000 of them: tests/bench/test_scale.py)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.curate.dedup import Near, met
from alpaca_pipe.similarity import minhash
from tests.bench.test_scale import on_ray
from tests.curate.released import released_rows

texts = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=9).map(" ".join), max_size=30
)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["process", "machine"])
def test_a_killed_worker_changes_nothing(data: Path, victim: str) -> None:
    pytest.importorskip("ray")
    released_rows(data)
    found = on_ray(data / "alpaca_data.json.gz", 60_000, victim)
    assert (
        found["same"] and found["killed"] and found["ray"]["kept"] < found["ray"]["rows"] == 60_000
    )


@settings(max_examples=15)
@given(texts, st.integers(1, 9), st.sampled_from(["0.5", "0.7"]))
def test_block_by_block_is_the_pass_in_row_order(some: list[str], size: int, likeness: str) -> None:
    """What ray_join.py does, without Ray: each block against what was kept of those before, and then within itself."""
    pytest.importorskip("numba")
    import numpy as np

    from alpaca_pipe.similarity import ray_join
    from alpaca_pipe.similarity.join import JoinResult, greedy

    whole = greedy(some, Decimal(likeness), "unicode")
    blocks = [some[at : at + size] for at in range(0, len(some), size)]
    starts = np.concatenate([[0], np.cumsum([len(block) for block in blocks])]).astype(int)
    found = JoinResult(
        np.full(len(some), -1, np.int32),
        np.zeros(len(some), np.int32),
        np.zeros(len(some), np.int32),
    )
    for number, block in enumerate(blocks):
        part = ray_join._part(found, starts, number)
        for earlier in range(number):
            kept = found.nearest[starts[earlier] : starts[earlier + 1]] < 0
            ray_join._nearer(
                part,
                ray_join._against(blocks[earlier], kept, block, Decimal(likeness), "unicode"),
                int(starts[earlier]),
            )
        ray_join._nearer(
            part,
            ray_join._resolved(block, part.nearest >= 0, Decimal(likeness), "unicode"),
            int(starts[number]),
        )
    for one, other in zip(
        (whole.nearest, whole.common, whole.total),
        (found.nearest, found.common, found.total),
        strict=True,
    ):
        assert one.tolist() == other.tolist()


@settings(max_examples=15)
@given(texts)
def test_minhash_drops_nothing_wrongly(some: list[str]) -> None:
    """And what it finds has its exact F. Recall is a matter of chance: it is measured in tests/bench/test_scale.py."""
    pytest.importorskip("rensa")
    found = met(some, Decimal("0.7"), "unicode", minhash_from=1)
    exact = met(some, Decimal("0.7"), "unicode")
    assert all(isinstance(near, Near) and near.score > Decimal("0.7") for near in found.values())
    assert {place for place in exact if exact[place].score == 1} <= found.keys() | {
        place for place in exact if exact[place].place in found
    }


def test_bands_find_a_pair_at_the_likeness() -> None:
    for likeness in ("0.5", "0.7", "0.9"):
        count = minhash.bands(Decimal(likeness))
        share = float(likeness) / (2 - float(likeness))
        assert 1 - (1 - share ** (240 // count)) ** count >= 0.99
