"""The index of rouge.py for many texts: all but the latest lie in the compiled tables of join.py, which are made anew as
they grow: the young ones often, the old ones seldom. The same answers; without Numba, one plain index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from sys import intern

from alpaca_pipe.similarity.rouge import Index, Neighbour, floors_below
from alpaca_pipe.similarity.words import SPLIT, Words

_COMPILED_FROM = 4000  # texts: below, loading Numba (1 s, and 20 s once a machine) would cost more than it saves
_NEW, _YOUNG = 400, 8000  # texts in the plain index, and in the table that is made anew each time that one is full


class Growing:
    """Texts by id, in the order in which they were added."""

    def __init__(self, likeness: Decimal | Fraction, words: Words) -> None:
        self.likeness = Fraction(likeness)
        self._words, self._split, self._floors = words, SPLIT[words], floors_below(self.likeness)
        self._ids: list[str] = []
        self._texts: list[Sequence[str]] = []
        self._tables: list[_Table] = []
        self._new = Index(likeness, words)
        self._compiled = find_spec("numba") is not None

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str, text: str) -> None:
        """Makes a text known. One without any word is never near anything."""
        self._ids.append(id)
        self._texts.append(tuple(map(intern, self._split(text))))
        self._new.add(id, text)
        if self._compiled and len(self._new) >= _NEW and len(self._ids) >= _COMPILED_FROM:
            self.settle()

    def settle(self) -> None:
        """Moves what is new into tables."""
        old = self._tables[0] if self._tables else None
        if old and len(self._ids) - old.end < _YOUNG:
            self._tables = [old, _Table(self._texts, old.end)]
        else:
            self._tables = [_Table(self._texts, 0)]
        self._new = Index(self.likeness, self._words)

    def nearest(self, text: str) -> Neighbour | None:
        """The nearest known text (the first of several); None if no known text shares a word with it."""
        words, floors = self._split(text), self._floors
        best: Neighbour | None = None
        for table in self._tables:  # the older come first, so a later one must be nearer
            if found := table.nearest(words, floors):
                best, floors = Neighbour(self._ids[found[0]], found[1]), (found[1],)
        return next((found for floor in floors if (found := self._new.above(words, floor))), best)

    def at(self, text: str, score: Fraction) -> Iterator[tuple[int, int, int]]:
        """(LCS, words of the text, words of the known one) of each known text with exactly this F, above 0."""
        yield from self._new.at(text, score)
        for table in self._tables:
            yield from table.at(self._split(text), score)


class _Table:
    """The texts from number `begin` on, compiled."""

    def __init__(self, texts: Sequence[Sequence[str]], begin: int) -> None:
        import numpy as np

        from alpaca_pipe.similarity.tables import shelved, table_of

        self._begin, self.end = begin, len(texts)
        self._table = table = table_of(texts[begin:])
        every = np.diff(table.starts).astype(np.int32)
        self._arrays = (table.tokens, table.starts, table.ranks, *shelved(table, every), np.ones(len(table), np.bool_),
                        np.full(len(table.numbers) + 1, -1, np.int32))
        self._best = np.zeros(3, np.int64)

    def nearest(self, words: Sequence[str], floors: Sequence[Fraction]) -> tuple[int, Fraction] | None:
        """(number, F) of the nearest text, the first of several, that is above one of the floors, tried one after the other."""
        import numpy as np

        from alpaca_pipe.similarity import kernels

        limits = np.array([(floor.numerator, floor.denominator) for floor in floors], np.int64)
        kernels.nearest(*self._table.of(words), limits, *self._arrays, self._best)
        row, common, total = map(int, self._best)
        return (self._begin + row, Fraction(2 * common, total)) if row >= 0 else None

    def at(self, words: Sequence[str], score: Fraction) -> Iterator[tuple[int, int, int]]:
        import numpy as np

        from alpaca_pipe.similarity import kernels

        tokens, rare = self._table.of(words)
        room = 0
        while (count := kernels.near(tokens, rare, score.numerator, score.denominator, *self._arrays,
                                     found := np.zeros((room, 4), np.int32))) > room:
            room = count
        for _, _, common, total in found.tolist():
            if Fraction(2 * common, total) == score:
                yield common, len(words), total - len(words)
