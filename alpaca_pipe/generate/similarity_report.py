"""`alpaca-pipe similarity FILE`: the two fields that Stanford's working file has for each row, by one pass over all pairs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alpaca_pipe.core.duration import spell
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import shipped, write_atomic
from alpaca_pipe.data.reading import read
from alpaca_pipe.generate.seeds.seeds import read_seeds
from alpaca_pipe.similarity.most_similar import likest, pairs_of
from alpaca_pipe.similarity.words import Words

_MANY = 10_000_000  # pairs: fewer are compared while one waits
_EVERY = 10.0  # seconds between two sentences


def similarity(
    file: Path,
    out: Path,
    words: Words,
    seeds: str | None,
    tell: Callable[[str], None] = lambda said: None,
) -> dict[str, Any]:
    """Writes the rows of a file of any form with `most_similar_instructions` (the ten likest of the seeds and of the rows
    before it, the likest first, as {instruction: F}) and `avg_similarity_score` (mean F with all of those) to `out`: a JSON
    list where it is called .json, else a line each. Answers rows, seeds, pairs, wordless, highest, mean (of all pairs), seconds.
    Of a conversation all questions together are compared. Raises UserError. seeds: a file of seed tasks or the name of shipped ones, which stand before the first row."""
    if find_spec("numba") is None:
        raise UserError(
            "similarity: all pairs are compared by a loop that Numba compiles, and it is not installed",
            "pip install 'alpaca-pipe[scale]'",
        )
    if out.resolve() == file.resolve():
        raise UserError(f"{out}: the rows themselves lie there", "name another file with -o")
    known = [seed.example for seed in read_seeds(_seed_file(seeds))] if seeds else []
    rows = list(read(file))
    began = time.perf_counter()
    texts = [row.asked if row.messages else row.instruction for row in (*known, *rows)]
    tick = Ticking(pairs_of(len(known), len(texts)), tell)
    found = likest(texts[len(known) :], words, texts[: len(known)], tick)
    seconds = time.perf_counter() - began
    lines = _lines(rows, texts, found.nearest.tolist(), found.scores.tolist(), found.means.tolist())
    if out.suffix == ".json":
        write_atomic(out, json.dumps(list(lines), ensure_ascii=False, indent=1) + "\n")
    else:
        write_atomic(out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    count = len(rows)
    compared = range(
        len(known), len(known) + count
    )  # of each row: the seeds and the rows before it
    total = sum(mean * others for mean, others in zip(found.means.tolist(), compared, strict=True))
    return {
        "rows": count,
        "seeds": len(known),
        "pairs": count * len(known) + count * (count - 1) // 2,
        "wordless": len(found.wordless),
        "highest": max(float(found.scores.max()), 0.0),
        "mean": total / max(sum(compared), 1),
        "seconds": round(seconds, 2),
        "out": str(out),
    }


class Ticking:
    """Says how many pairs there are, and from the second part on how long the rest takes: the first one may be compiling."""

    def __init__(
        self, pairs: int, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pairs, self._tell, self._clock = pairs, tell, clock
        self._first: tuple[int, float] | None = None
        self._said = clock()
        if pairs >= _MANY:
            tell(f"{pairs:,} pairs to compare")

    def __call__(self, done: int) -> None:
        now = self._clock()
        if self._first is None:
            self._first = done, now
            return
        (before, began), first = self._first, self._said < self._first[1]
        if done < self._pairs and (first or now - self._said >= _EVERY) and now > began:
            left = (self._pairs - done) * (now - began) / (done - before)
            self._tell(f"{done:,} of {self._pairs:,} pairs, about {spell(left / 60)} to go")
            self._said = now


def _lines(
    rows: Sequence[Example],
    texts: Sequence[str],
    nearest: Sequence[Sequence[int]],
    scores: Sequence[Sequence[float]],
    means: Sequence[float],
) -> Iterator[Mapping[str, Any]]:
    for row, ten, its, mean in zip(rows, nearest, scores, means, strict=True):
        best = {texts[place]: score for place, score in zip(ten, its, strict=True) if place >= 0}
        yield {
            "instruction": row.instruction,
            "input": row.input,
            "output": row.output,
            **({"messages": [one.to_row() for one in row.messages]} if row.messages else {}),
            "most_similar_instructions": best,
            "avg_similarity_score": mean,
        }


def _seed_file(name: str) -> Path:
    path = shipped("seed_tasks") / f"{name}.jsonl"
    if path.is_file():
        return path
    if not Path(name).is_file():
        raise UserError(
            f"{name}: no such file, and no shipped seed tasks of that name",
            "name a JSONL or CSV file, or alpaca",
        )
    return Path(name)
