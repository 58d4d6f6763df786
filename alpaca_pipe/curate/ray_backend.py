"""The first pass of pipeline.py on Ray: rows in blocks to any number of machines, the same verdicts back, in row order.

Repairs, filters and the comparison of instructions are done wherever a core is free; ids and the greedy pass, which are
questions of order, by the one machine that asks. A worker that dies is replaced by Ray, and its block judged again.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.dedup import ComparedHere, Near
from alpaca_pipe.curate.first_pass import FirstPass, FirstPassSettings
from alpaca_pipe.data.arrow import COLUMNS, restored, stored
from alpaca_pipe.similarity.words import Text, Words

if TYPE_CHECKING:
    import pyarrow

_ROWS = 2000  # that travel together
_TEXTS = 50_000  # instructions in a block of the join; later ones a 64th of what is there, so that they stay few
_BLOCKS = 64


@contextmanager
def cluster() -> Iterator[None]:
    """The cluster that RAY_ADDRESS names, or one of our own on this machine, on the loopback alone, for as long as it is needed."""
    if find_spec("ray") is None or find_spec("numba") is None:
        raise UserError(
            "curate.engine: ray is not installed",
            "pip install 'alpaca-pipe[scale]', or leave engine at local",
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not os.environ.get("RAY_ADDRESS"):
        os.environ.setdefault(
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0"
        )  # Ray's name for: on the loopback alone
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    ray.init(
        address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        **({} if address else {"include_dashboard": False}),
    )
    try:
        yield
    finally:
        ray.shutdown()


def quiet() -> None:
    """Rows in their order, and none of Ray Data's own progress."""
    import ray

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def looked_at(
    rows: Iterable[Example], look: FirstPassSettings, tick: Callable[[int], None]
) -> Iterator[FirstPass]:
    """What `look` says of each row, in their order."""
    import ray

    quiet()
    blocks: list[Any] = [ray.put(block) for block in _blocks(rows)]
    judge: Any = _of_block
    data: Any = ray.data.from_arrow_refs(blocks).map_batches(
        judge, fn_args=(look,), batch_format="pyarrow", batch_size=None
    )
    done = 0
    for batch in data.iter_batches(batch_format="pyarrow", batch_size=None):
        for seen in _unpacked(batch):
            done += 1
            yield seen
            tick(done)


def _blocks(rows: Iterable[Example]) -> Iterator[pyarrow.Table]:
    import pyarrow

    source = map(stored, rows)
    while some := list(islice(source, _ROWS)):
        yield pyarrow.table(dict(zip(COLUMNS, map(list, zip(*some, strict=True)), strict=True)))


def _of_block(block: pyarrow.Table, look: FirstPassSettings) -> pyarrow.Table:
    import pyarrow

    columns = [column.to_pylist() for column in block.columns]
    seen = [look(restored(*row)) for row in zip(*columns, strict=True)]
    text = pyarrow.string()
    told = [one.told_by if isinstance(one.told_by, tuple) else (one.told_by, None) for one in seen]
    return pyarrow.table(
        {
            "dropped_by": pyarrow.array([one.dropped_by for one in seen], pyarrow.int16()),
            "id": pyarrow.array([one.id for one in seen], text),
            "mended": pyarrow.array([one.mended for one in seen], pyarrow.bool_()),
            "text": pyarrow.array([one for one, _ in told], text),
            "also": pyarrow.array([other for _, other in told], text),
            "worth": pyarrow.array([one.worth for one in seen], pyarrow.list_(pyarrow.float64())),
        }
    )


def _unpacked(block: pyarrow.Table) -> Iterator[FirstPass]:
    for by, id, mended, text, also, worth in zip(
        *(column.to_pylist() for column in block.columns), strict=True
    ):
        yield FirstPass(by, id, mended, text if also is None else (text, also), worth)


class ComparedInRay:
    """What duplicates are told by, laid down in Ray block by block: this machine holds two of them at a time."""

    def __init__(self) -> None:
        self._single, self._pairs = _Blocks(), _Blocks()

    def append(self, told_by: Text) -> None:
        place = len(self._single.places) + len(self._pairs.places)
        (self._single if isinstance(told_by, str) else self._pairs).append(place, told_by)

    def met(
        self, likeness: Decimal | Fraction, words: Words, minhash_from: int | None
    ) -> Mapping[int, Near]:
        if minhash_from is not None:
            few = sum(len(one.places) for one in (self._single, self._pairs)) < minhash_from
            if not few:
                return self._here().met(likeness, words, minhash_from)
        return {**self._single.met(likeness, words), **self._pairs.met(likeness, words)}

    def _here(self) -> ComparedHere:
        """All of it in this process: MinHash works in one."""
        here = ComparedHere()
        both = sorted(chain(self._single.placed(), self._pairs.placed()), key=lambda one: one[0])
        for _, told_by in both:
            here.append(told_by)
        return here


class _Blocks:
    """Texts of one kind, with their places among all rows."""

    def __init__(self) -> None:
        self.places = array("i")
        self._open: list[Text] = []
        self._blocks: list[Any] = []
        self._sizes: list[int] = []

    def append(self, place: int, text: Text) -> None:
        self.places.append(place)
        self._open.append(text)
        if len(self._open) >= max(_TEXTS, sum(self._sizes) // _BLOCKS):
            self._close()

    def _close(self) -> None:
        import ray

        if self._open:
            self._blocks.append(ray.put(self._open))
            self._sizes.append(len(self._open))
            self._open = []

    def placed(self) -> Iterator[tuple[int, Text]]:
        import ray

        self._close()
        texts = chain.from_iterable(map(ray.get, self._blocks))
        yield from zip(self.places, texts, strict=True)

    def met(self, likeness: Decimal | Fraction, words: Words) -> Mapping[int, Near]:
        """As `dedup.met`, by places among all rows."""
        import numpy as np

        from alpaca_pipe.similarity.ray_join import greedy_in_blocks

        self._close()
        if not self._blocks:
            return {}
        found = greedy_in_blocks(self._blocks, self._sizes, likeness, words)
        return {
            self.places[place]: Near(
                self.places[int(found.nearest[place])],
                Fraction(2 * int(found.common[place]), int(found.total[place])),
            )
            for place in np.flatnonzero(found.nearest >= 0).tolist()
        }
