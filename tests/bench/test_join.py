"""The exact join on the released 52K and beyond: what it keeps, how long it takes, in what memory, and beside its peers.

Limits from the curation issue. Everything on two cores. The oracle is brute force by rapidfuzz over all 1.35e9 pairs; it
takes the most of this benchmark's minutes.
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.similarity.words import rouge_words
from tests.bench.join import grown, instructions
from tests.bench.table import ROOT, publish

pytest.importorskip(
    "numba", reason="the bulk pass is compiled by Numba: pip install 'alpaca-pipe[scale]'"
)

CORES = 2
WHOLE = 52_002
LIKENESSES = ("0.7", "0.65", "0.6", "0.5")
SIZES = {
    13_000: 5,
    26_000: 5,
    WHOLE: 5,
    250_000: 3,
    1_000_000: 3,
}  # rows -> passes, of which the median counts
BLOCK = 512  # rows that rapidfuzz holds against all others at a time


def measured(file: Path, times: int, rows: int, **environment: str) -> dict[str, Any]:
    """tests/bench/join.py in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.join", str(file), str(times), str(rows)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
        env={**os.environ, "NUMBA_NUM_THREADS": str(CORES), **environment},
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def letters(texts: Sequence[str]) -> list[str]:
    """Each text with one character for each word: what rapidfuzz compares fastest."""
    numbers: dict[str, int] = {}
    rows = [
        [numbers.setdefault(word, len(numbers)) for word in rouge_words(text)] for text in texts
    ]
    return [
        "".join(chr(number + (256 if number < 0xD700 else 0x10000)) for number in row)
        for row in rows
    ]


def near_pairs(rows: Sequence[str], least: Fraction) -> Iterator[tuple[int, int, Fraction]]:
    """(later, earlier, F) of all pairs with an F of at least `least`: rapidfuzz over all of them, the few that it finds
    compared again in integers."""
    import numpy as np
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    cutoff = float(least) - 1e-6
    for begin in range(0, len(rows), BLOCK):
        block = rows[begin : begin + BLOCK]
        found = cdist(
            block,
            rows[: begin + len(block)],
            scorer=Indel.normalized_similarity,
            score_cutoff=cutoff,
            workers=CORES,
        )
        for row, earlier in zip(*np.nonzero(found >= cutoff), strict=True):
            later, earlier = begin + int(row), int(earlier)
            total = len(rows[later]) + len(rows[earlier])
            if earlier < later and total:
                common = (total - int(Indel.distance(rows[later], rows[earlier]))) // 2
                if common and (score := Fraction(2 * common, total)) >= least:
                    yield later, earlier, score


def kept_by(
    pairs: dict[int, list[tuple[int, Fraction]]], rows: int, likeness: Fraction
) -> list[int]:
    """The greedy pass in row order over all near pairs."""
    gone: set[int] = set()
    for row in range(rows):
        if any(score > likeness and earlier not in gone for earlier, score in pairs.get(row, ())):
            gone.add(row)
    return [row for row in range(rows) if row not in gone]


def a_pair_by_rapidfuzz(rows: Sequence[str], least: float) -> float:
    """Seconds for a pair at its best: characters, a cutoff, both cores; median of three samples of 512 rows against all."""
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    chance, seconds = random.Random(1), []
    for _ in range(4):
        block = chance.sample(rows, BLOCK)
        began = time.perf_counter()
        cdist(block, rows, scorer=Indel.normalized_similarity, score_cutoff=least, workers=CORES)
        seconds.append((time.perf_counter() - began) / (BLOCK * len(rows)))
    return statistics.median(seconds[1:])


def pairs_by_rouge_score(texts: Sequence[str]) -> tuple[float, float]:
    """Seconds for a pair in its one process: by its `score`, and by the inner function that Stanford's script calls with words
    split beforehand; medians of five samples of 400 pairs."""
    from rouge_score.rouge_scorer import RougeScorer, _score_lcs

    score, chance = RougeScorer(["rougeL"], use_stemmer=False).score, random.Random(2)
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(6):
        sample = [(chance.choice(texts), chance.choice(texts)) for _ in range(400)]
        split = [(rouge_words(one), rouge_words(other)) for one, other in sample]
        for place, (compare, rows) in enumerate(((score, sample), (_score_lcs, split))):
            began = time.perf_counter()
            for one, other in rows:
                compare(one, other)
            seconds[place].append((time.perf_counter() - began) / len(sample))
    return statistics.median(seconds[0][1:]), statistics.median(seconds[1][1:])


def exponent(points: Sequence[tuple[int, float]]) -> float:
    """The slope of log seconds over log rows, by least squares."""
    xs, ys = [math.log(rows) for rows, _ in points], [math.log(seconds) for _, seconds in points]
    return statistics.linear_regression(xs, ys).slope


@pytest.mark.slow
def test_the_exact_join(tmp_path: Path, data: Path) -> None:
    import numpy as np

    from alpaca_pipe.similarity.join import greedy, pairs

    file = data / "alpaca_data.json.gz"
    texts = instructions(file)
    every_pair = len(texts) * (len(texts) - 1) // 2
    rows: list[dict[str, object]] = []

    def line(what: str, value: object, limit: str = "", note: str = "") -> None:
        rows.append({"what": what, "value": value, "limit": limit, "note": note})

    found = {size: measured(file, times, size) for size, times in SIZES.items()}
    whole = found[WHOLE]
    cold = measured(file, 1, 1000, NUMBA_CACHE_DIR=str(tmp_path))
    line("52,002 rows at 0.7, rouge words: dropped", whole["dropped"], "0")
    line(
        "  seconds",
        f"{whole['seconds']:.2f}",
        "3",
        f"median of {SIZES[WHOLE]}, splitting into words included, {CORES} cores",
    )
    line("  imports, seconds", f"{whole['imports']:.2f}", "", "NumPy and Numba")
    line("  compiled kernels loaded, seconds", f"{whole['ready']:.2f}", "", "every process")
    line("  kernels compiled, seconds", f"{cold['ready']:.1f}", "", "once a machine")

    at_seven = pairs(texts, Decimal("0.7"), "rouge")
    exactly = int(
        np.sum(at_seven[:, 2].astype(np.int64) * 20 == at_seven[:, 3].astype(np.int64) * 7)
    )
    line("pairs at exactly 0.7", f"{exactly:,}", "1,461", f"above: {len(at_seven) - exactly}")

    codes = letters(texts)
    began = time.perf_counter()
    near: dict[int, list[tuple[int, Fraction]]] = {}
    for later, earlier, score in near_pairs(codes, Fraction(LIKENESSES[-1])):
        near.setdefault(later, []).append((earlier, score))
    took = time.perf_counter() - began
    for likeness in LIKENESSES:
        ours = np.flatnonzero(greedy(texts, Decimal(likeness), "rouge").nearest < 0).tolist()
        same = ours == kept_by(near, len(texts), Fraction(likeness))
        line(
            f"kept at {likeness}, same as brute force",
            f"{len(ours):,} {'same' if same else 'OTHERS'}",
            "same",
            "all pairs by rapidfuzz, exact fractions",
        )
        assert same
    line(
        "  brute force, seconds",
        f"{took:.0f}",
        "",
        f"once at {LIKENESSES[-1]} for the four of them, {CORES} cores",
    )

    by_rapidfuzz, (by_rouge, by_inner) = (
        a_pair_by_rapidfuzz(codes, 0.7),
        pairs_by_rouge_score(texts),
    )
    line(
        "rapidfuzz, ns a pair",
        f"{by_rapidfuzz * 1e9:.1f}",
        "",
        f"cdist, cutoff 0.7, workers={CORES}, words as characters",
    )
    line(
        "  ratio to ours",
        f"{by_rapidfuzz * every_pair / whole['seconds']:,.0f}",
        "10, wanted 60",
        f"{by_rapidfuzz * every_pair:.0f} s extrapolated to {every_pair:.2e} pairs",
    )
    for name, each in (("score", by_rouge), ("_score_lcs, words split beforehand", by_inner)):
        line(
            f"rouge-score, us a pair by {name}",
            f"{each * 1e6:.0f}",
            "",
            "its one process; 2,000 pairs drawn at random",
        )
        line(
            "  ratio to ours",
            f"{each * every_pair / whole['seconds']:,.0f}",
            "50,000" if name == "score" else "",
            f"{each * every_pair / 3600:.1f} h extrapolated to {every_pair:.2e} pairs",
        )

    for size, one in found.items():
        real = (
            "real rows"
            if size <= WHOLE
            else "52,002 real rows, and halves of two real ones put together"
        )
        limits = ("600 s, 4,000 MB",) if size == 1_000_000 else ("",)
        line(
            f"{size:,} rows: seconds, peak MB",
            f"{one['seconds']:.2f}, {one['peak']:,}",
            limits[0],
            f"{one['dropped']:,} dropped; {real}; median of {SIZES[size]}, of the {one['peak']:,} MB {one['before']:,} before the join",
        )
    times = [(size, one["seconds"]) for size, one in found.items()]
    line(
        "growth exponent",
        f"{exponent(times):.2f}",
        "",
        f"13K to 1M; from 52K on {exponent(times[2:]):.2f}",
    )
    publish(
        "curate-join", rows, {peer: version(peer) for peer in ("rapidfuzz", "rouge-score", "numba")}
    )
    assert (whole["dropped"], exactly, len(at_seven)) == (0, 1461, 1461)


def test_what_grows_is_stated(data: Path) -> None:
    texts = instructions(data / "alpaca_data.json.gz")[:500]
    more = grown(texts, 2000)
    assert more[:500] == texts and len(more) == 2000 and more == grown(texts, 2000)
    assert grown(texts, 100) == texts[:100]
    halves = {" ".join(text.split()[: (len(text.split()) + 1) // 2]) for text in texts}
    assert all(any(text.startswith(half) for half in halves) for text in more[500:600])
