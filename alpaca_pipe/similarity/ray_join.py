"""The exact join of join.py over many machines: the same rows out, and no machine holds more than two blocks of texts.

The texts lie in Ray's object store in blocks, in row order. Once a block is resolved, what was kept of it is held against
all later blocks at once, on whatever machine is free; each of those remembers only its nearest so far. The next block is
then resolved in row order by one machine, with what its rows met before. A task whose worker dies is run again by Ray, and
every task is a function of its arguments, so that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from alpaca_pipe.similarity.join import JoinResult, across, greedy
from alpaca_pipe.similarity.words import Text, Words

if TYPE_CHECKING:
    import numpy as np


def greedy_in_blocks(
    blocks: Sequence[Any],
    sizes: Sequence[int],
    likeness: Decimal | Fraction,
    words: Words,
    tick: Callable[[int], None] = lambda done: None,
) -> JoinResult:
    """As `join.greedy` of all texts together. blocks: of each a reference to its list of texts in Ray; sizes: their lengths.
    tick: is told how many blocks are resolved, and may raise."""
    import numpy as np
    import ray

    resolve = ray.remote(num_cpus=1, max_retries=-1)(_resolved)
    against = ray.remote(num_cpus=1, max_retries=-1)(_against)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    met = JoinResult(
        np.full(starts[-1], -1, np.int32),
        np.zeros(starts[-1], np.int32),
        np.zeros(starts[-1], np.int32),
    )
    waited: list[list[tuple[int, Any]]] = [[] for _ in blocks]
    for number, block in enumerate(blocks):
        part = _part(met, starts, number)
        for earlier, reference in waited[number]:
            _nearer(part, ray.get(reference), int(starts[earlier]))
        _nearer(
            part,
            ray.get(resolve.remote(block, part.nearest >= 0, likeness, words)),
            int(starts[number]),
        )
        kept = ray.put(part.nearest < 0)
        for later in range(number + 1, len(blocks)):
            waited[later].append(
                (number, against.remote(block, kept, blocks[later], likeness, words))
            )
        tick(number + 1)
    return met


def _resolved(
    texts: Sequence[Text], gone: np.ndarray, likeness: Decimal | Fraction, words: Words
) -> JoinResult:
    with_one_thread()
    return greedy(texts, likeness, words, gone)


def _against(
    earlier: Sequence[Text],
    kept: np.ndarray,
    texts: Sequence[Text],
    likeness: Decimal | Fraction,
    words: Words,
) -> JoinResult:
    """For each text of a block the nearest kept row of an earlier one, by its place there."""
    import numpy as np

    with_one_thread()
    places = np.flatnonzero(kept).astype(np.int32)
    found = across([earlier[place] for place in places.tolist()], texts, likeness, words)
    near = found.nearest >= 0
    found.nearest[near] = places[found.nearest[near]]
    return found


def with_one_thread() -> None:
    """A task has one core; Numba would take them all."""
    import numba

    numba.set_num_threads(1)


def _part(met: JoinResult, starts: np.ndarray, number: int) -> JoinResult:
    """The rows of one block, to write into."""
    rows = slice(starts[number], starts[number + 1])
    return JoinResult(met.nearest[rows], met.common[rows], met.total[rows])


def _nearer(part: JoinResult, found: JoinResult, begin: int) -> None:
    """Takes over what is nearer than the nearest so far; of equals the earlier row stays, for blocks come in their order."""
    one = found.common.astype("int64") * part.total
    other = part.common.astype("int64") * found.total
    better = (found.nearest >= 0) & ((part.nearest < 0) | (one > other))
    part.nearest[better] = found.nearest[better] + begin
    part.common[better], part.total[better] = found.common[better], found.total[better]
