"""The judgement on each row, in row order: repaired, dropped by a filter, told before, or kept.

Two passes over the rows, which lie memory-mapped on disk, each in as many processes as there are cores. The first finds
the verdicts, and remembers of a row whether it was dropped and what duplicates are told by; the second hands the rows
out. So memory grows with the index, not with the rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.ordered_processes import in_order
from alpaca_pipe.curate import dedup
from alpaca_pipe.curate.dedup import Compared
from alpaca_pipe.curate.first_pass import NONE, FirstPass, FirstPassSettings
from alpaca_pipe.curate.judgement import Judgement
from alpaca_pipe.curate.repairs import free_id
from alpaca_pipe.curate.rules import CurationRules
from alpaca_pipe.data.arrow import StoredRows


def judged(
    rows: Iterable[Example], how: CurationRules, tick: Callable[[int], None] = lambda done: None
) -> Judgement:
    """The verdicts on `rows`, which must begin anew each time they are iterated over. tick: is told how many rows the first
    pass has seen, and may raise Stopped.

    The first filter that drops a row gives the reason; only rows that none drops enter the search for duplicates, so a bad row never
    displaces a good one that resembles it. A row that was kept by hand enters it as if none dropped it, and stays whatever it finds.
    """
    look = FirstPassSettings(how.filters, how.repair, how.duplicates)
    if how.engine == "ray":
        from alpaca_pipe.curate import ray_backend

        with ray_backend.cluster():
            seen = ray_backend.looked_at(rows, look, tick)
            return _first_pass(
                rows,
                how,
                _as_decided(seen, rows, how, look) if how.decisions else seen,
                ray_backend.ComparedInRay(),
            )
    processes = how.processes(rows)
    every = (
        _in_processes(rows, look, tick, processes)
        if isinstance(rows, StoredRows) and processes > 1
        else _here(rows, how, look, tick)
    )
    return _first_pass(rows, how, every, dedup.ComparedHere())


def _here(
    rows: Iterable[Example],
    how: CurationRules,
    look: FirstPassSettings,
    tick: Callable[[int], None],
) -> Iterator[FirstPass]:
    every = map(look.at, how.coming(rows)) if how.decisions else map(look, rows)
    for done, seen in enumerate(every, 1):
        yield seen
        tick(done)


def _in_processes(
    rows: StoredRows, look: FirstPassSettings, tick: Callable[[int], None], processes: int
) -> Iterator[FirstPass]:
    blocks = [*pairwise(rows.starts())]

    def seen(number: int) -> list[tuple[object, ...]]:
        start, end = blocks[number]
        return [tuple(look(row)) for row in rows.block(number, end - start)]

    for number, some in enumerate(in_order(seen, len(blocks), processes)):
        yield from map(FirstPass._make, some)
        tick(blocks[number][1])


def _as_decided(
    every: Iterable[FirstPass], rows: Iterable[Example], how: CurationRules, look: FirstPassSettings
) -> Iterator[FirstPass]:
    """What was seen elsewhere, without decisions; a row that a person decided on is looked at again."""
    for seen, row in zip(every, how.coming(rows), strict=True):
        yield look.at(row) if row.said else seen._replace(id=row.example.id)


def _first_pass(
    rows: Iterable[Example],
    how: CurationRules,
    every: Iterable[FirstPass],
    compared: Compared,
) -> Judgement:
    dropped_by, mended, ids, worth = array("h"), bytearray(), list[str](), list[Sequence[float]]()
    renamed: dict[int, str] = {}
    taken: set[str] = set()
    for seen in every:
        id = free_id(seen.id, taken) if how.repair else seen.id
        if id != seen.id:
            renamed[len(dropped_by)] = id
        dropped_by.append(seen.dropped_by)
        mended.append(seen.mended)
        if seen.dropped_by == NONE:
            compared.append(seen.told_by)
            ids.append(id)
            if seen.worth:
                worth.append(seen.worth)
    del taken
    near = compared.met(how.likeness, how.words, how.duplicates.minhash_from)
    groups = tuple(dedup.groups(near, worth or None))
    return Judgement(rows, how, dropped_by, mended, renamed, ids, groups)
