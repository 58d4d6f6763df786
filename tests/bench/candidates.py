"""What tests/bench/generate.py measures on one core: candidates a second through parse, filters and novelty, beside brute
force. Prints one JSON line: {size of the pool: {rate, judged, rouge-score, rapidfuzz ...}}, rates in candidates a second.

Usage: python -m tests.bench.candidates POOL.json.gz CANDIDATES.jsonl.gz
"""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.parsing.numbered_list import Bugs
from alpaca_pipe.generate.parsing.reply import Draft
from alpaca_pipe.generate.seeds.seeds import Seed
from alpaca_pipe.generate.styles.alpaca_2023 import Alpaca2023
from alpaca_pipe.generate.styles.base import Seat
from alpaca_pipe.similarity.words import rouge_words
from tests.bench.test_join import letters
from tests.proving.released import ROWS, layout

SIZES = (13_000, 26_000, 52_002)
PASSES, BY_ROUGE, BY_RAPIDFUZZ = 3, 3, 100  # candidates that the peers judge, of those that we do
LIKENESS = 0.7


def ours(texts: Sequence[str], replies: Sequence[Completion]) -> tuple[float, int]:
    """(candidates a second, how many): the median pass, each with a pool of its own; building it is not counted."""
    style = Alpaca2023(3072, 1.0, frozenset({"stop"}), Bugs(), True)
    seed = Seed(Example.of("Name a river of Africa.", "", "The Nile", Origin("seed")), "", False)
    seat, rates, count = Seat(0, 0, (seed,) * 3, ()), [], 0
    for _ in range(PASSES):
        pool = Pool(
            [Example.of(text, "", "", Origin("seed")) for text in texts],
            Decimal(str(LIKENESS)),
            "rouge",
            style.ties,
        )
        began, count = time.perf_counter(), 0
        for number, reply in enumerate(replies):
            for item, piece in enumerate(style.parse(seat, reply)):
                count += 1
                if isinstance(piece, Draft) and style.rejection(seat, piece) is None:
                    pool.judge(piece, f"{number}/{item}")
        rates.append(count / (time.perf_counter() - began))
    return median(rates), count


def rouge_score(pool: Sequence[str], sample: Sequence[str]) -> float:
    from rouge_score.rouge_scorer import _score_lcs

    known = [rouge_words(text) for text in pool]
    began = time.perf_counter()
    for text in sample:
        words = rouge_words(text)
        max(_score_lcs(words, other).fmeasure for other in known)
    return len(sample) / (time.perf_counter() - began)


def rapidfuzz(pool: Sequence[str], sample: Sequence[str]) -> float:
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    coded = letters([*pool, *sample])
    known, asked = coded[: len(pool)], coded[len(pool) :]
    began = time.perf_counter()
    for text in asked:
        cdist(
            [text], known, scorer=Indel.normalized_similarity, score_cutoff=LIKENESS, workers=1
        ).max()
    return len(sample) / (time.perf_counter() - began)


def main(pool_file: Path, file: Path) -> dict[int, dict[str, float]]:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pool = [row["instruction"] for row in json.loads(gzip.decompress(pool_file.read_bytes()))]
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
    rows = [
        {name: str(row.get(name, "")) for name in ("instruction", "input", "output")}
        for row in rows
    ]
    replies = [
        Completion(layout(rows[begin : begin + ROWS]), "stop", Usage())
        for begin in range(0, len(rows), ROWS)
    ]
    sample = random.Random(1).sample([row["instruction"] for row in rows], BY_RAPIDFUZZ)
    found = {}
    for size in SIZES:
        rate, judged = ours(pool[:size], replies)
        found[size] = {
            "rate": rate,
            "judged": judged,
            "rouge-score": rouge_score(pool[:size], sample[:BY_ROUGE]),
            "rouge-score sample": BY_ROUGE,
            "rapidfuzz": rapidfuzz(pool[:size], sample),
            "rapidfuzz sample": BY_RAPIDFUZZ,
        }
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
