"""The first pass of pipeline.py on Ray: rows in blocks to any number of machines, the same verdicts back, in row order.

Repairs, filters and the comparison of instructions are done wherever a core is free; ids and the greedy pass, which are
questions of order, by the one machine that asks. A worker that dies is replaced by Ray, and its block judged again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.dedup import Near
from alpaca_pipe.curate.first_pass import FirstPass, FirstPassSettings
from alpaca_pipe.data.arrow import from_columns, to_columns
from alpaca_pipe.similarity.words import Words

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
        for seen in batch.to_pylist():
            done += 1
            yield FirstPass(**seen)
            tick(done)


def _blocks(rows: Iterable[Example]) -> Iterator[pyarrow.Table]:
    import pyarrow

    source = map(to_columns, rows)
    while some := list(islice(source, _ROWS)):
        yield pyarrow.Table.from_pylist(some)


def _of_block(block: pyarrow.Table, look: FirstPassSettings) -> pyarrow.Table:
    import pyarrow

    seen = [look(from_columns(row))._asdict() for row in block.to_pylist()]
    return pyarrow.Table.from_pylist(
        seen,
        pyarrow.schema(
            [
                ("dropped_by", pyarrow.int16()),
                ("id", pyarrow.string()),
                ("text", pyarrow.string()),
                ("worth", pyarrow.list_(pyarrow.float64())),
            ]
        ),
    )


class RayTexts:
    """What duplicates are told by, laid down in Ray block by block: this machine holds one of them at a time."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._blocks: list[Any] = []
        self._sizes: list[int] = []

    def append(self, text: str) -> None:
        self._open.append(text)
        if len(self._open) >= max(_TEXTS, sum(self._sizes) // _BLOCKS):
            self._close()

    def _close(self) -> None:
        import ray

        if self._open:
            self._blocks.append(ray.put(self._open))
            self._sizes.append(len(self._open))
            self._open = []

    def __len__(self) -> int:
        return sum(self._sizes) + len(self._open)

    def __iter__(self) -> Iterator[str]:
        import ray

        self._close()
        for block in self._blocks:
            yield from ray.get(block)

    def met(self, likeness: Decimal | Fraction, words: Words) -> Mapping[int, Near]:
        """As `dedup.met`."""
        import numpy as np

        from alpaca_pipe.similarity.ray_join import greedy_in_blocks

        self._close()
        if not self._blocks:
            return {}
        found = greedy_in_blocks(self._blocks, self._sizes, likeness, words)
        return {
            place: Near(
                int(found.nearest[place]),
                Fraction(2 * int(found.common[place]), int(found.total[place])),
            )
            for place in np.flatnonzero(found.nearest >= 0).tolist()
        }
