"""The index of rouge.py for many texts: all but the latest lie in the compiled tables of join.py, which are made anew as
they grow: the young ones often, the old ones seldom; the latest are compared one and all. The same answers; without Numba,
one plain index."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING

from alpaca_pipe.similarity.rouge import Index, Neighbour, floors_below
from alpaca_pipe.similarity.words import SPLIT, Words

if TYPE_CHECKING:
    import numpy as np

_COMPILED_FROM = (
    4000  # texts: below, loading Numba (1 s, and 20 s once a machine) would cost more than it saves
)
_NEW, _YOUNG = (
    1000,
    8000,
)  # the latest texts, and those in the table that is made anew each time those are so many


class IncrementalIndex:
    """Texts by id, in the order in which they were added."""

    def __init__(self, likeness: Decimal | Fraction, words: Words) -> None:
        self.likeness = Fraction(likeness)
        self._words, self._split, self._floors = words, SPLIT[words], floors_below(self.likeness)
        self._ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._tokens, self._starts = array("i"), array("q", [0])
        self._tables: list[_Table] = []
        self._new: Index | _Latest = Index(likeness, words)
        self._compiled = find_spec("numba") is not None

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str, text: str) -> None:
        """Makes a text known. One without any word is never near anything."""
        numbers = self._note(id, text)
        if isinstance(self._new, Index):
            self._new.add(id, text)
        else:
            self._new.add(id, numbers)
        if self._compiled and len(self._new) >= _NEW and len(self._ids) >= _COMPILED_FROM:
            self.settle()

    def extend(self, texts: Iterable[tuple[str, str]]) -> None:
        """Makes many (id, text) known at once."""
        every = list(texts)
        if not self._compiled or len(self._ids) + len(every) < _COMPILED_FROM:
            for id, text in every:
                self.add(id, text)
            return
        for id, text in every:
            self._note(id, text)
        self._tables = []
        self.settle()

    def _note(self, id: str, text: str) -> list[int]:
        """The numbers of its words."""
        numbers, known = [], self._numbers
        for word in self._split(text):
            numbers.append(known.setdefault(word, len(known)))
        self._ids.append(id)
        self._tokens.extend(numbers)
        self._starts.append(len(self._tokens))
        return numbers

    def settle(self) -> None:
        """Moves what is new into tables."""
        old = self._tables[0] if self._tables else None
        if old and len(self._ids) - old.end < _YOUNG:
            self._tables = [old, self._table(old.end)]
        else:
            self._tables = [self._table(0)]
        self._new = _Latest(self._numbers)

    def _table(self, begin: int) -> _Table:
        """Of all texts from that number on."""
        import numpy as np

        starts = np.array(self._starts[begin:], np.int64)
        tokens = np.array(self._tokens[self._starts[begin] :], np.int32)
        return _Table(self._numbers, tokens, starts - starts[0], begin)

    def nearest(self, text: str) -> Neighbour | None:
        """The nearest known text (the first of several); None if no known text shares a word with it."""
        words, floors = self._split(text), self._floors
        best: Neighbour | None = None
        for table in self._tables:  # the older come first, so a later one must be nearer
            if found := table.nearest(words, floors):
                best, floors = Neighbour(self._ids[found[0]], found[1]), (found[1],)
        if isinstance(self._new, _Latest):
            return self._new.above(words, floors[-1]) or best
        return next((newer for floor in floors if (newer := self._new.above(words, floor))), best)

    def at(self, text: str, score: Fraction) -> Iterator[tuple[int, int, int]]:
        """(LCS, words of the text, words of the known one) of each known text with exactly this F, above 0."""
        yield from (
            self._new.at(text, score)
            if isinstance(self._new, Index)
            else self._new.at(self._split(text), score)
        )
        for table in self._tables:
            yield from table.at(self._split(text), score)


class _Latest:
    """The texts since the last table: so few that comparing all of them costs less than an index of them."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        import numpy as np

        self._ids: list[str] = []
        self._numbers = numbers
        self._tokens, self._starts = array("i"), array("q", [0])
        self._bits = np.zeros((0, 1), np.uint64)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str, numbers: Sequence[int]) -> None:
        self._ids.append(id)
        self._tokens.extend(numbers)
        self._starts.append(len(self._tokens))

    def above(self, words: Sequence[str], floor: Fraction) -> Neighbour | None:
        """The nearest (the first of several) if its F is above the floor, strictly."""
        import numpy as np

        if not self._ids or not words:
            return None
        common, total = self._commons(words)
        row = int(
            np.argmax(common / total)
        )  # equal fractions are equal doubles, and others differ: totals are small
        score = Fraction(2 * int(common[row]), int(total[row]))
        return Neighbour(self._ids[row], score) if score > floor else None

    def at(self, words: Sequence[str], score: Fraction) -> Iterator[tuple[int, int, int]]:
        if not self._ids or not words:
            return
        common, total = self._commons(words)
        for row in (
            (2 * common * score.denominator == score.numerator * total).nonzero()[0].tolist()
        ):
            yield int(common[row]), len(words), int(total[row]) - len(words)

    def _commons(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """LCS with each text, and the words of both."""
        import numpy as np

        from alpaca_pipe.similarity import most_similar_kernels

        blocks = (len(words) + 63) >> 6
        if len(self._bits) < len(self._numbers) or self._bits.shape[1] < blocks:
            self._bits = np.zeros(
                (2 * len(self._numbers) + 1, max(blocks, self._bits.shape[1])), np.uint64
            )
        common, starts = np.zeros(len(self._ids), np.int64), np.array(self._starts, np.int64)
        most_similar_kernels.commons(
            np.array([self._numbers.get(word, -1) for word in words], np.int32),
            np.array(self._tokens, np.int32),
            starts,
            self._bits,
            np.zeros(blocks, np.uint64),
            common,
        )
        return common, np.diff(starts) + len(words)


class _Table:
    """The texts from number `begin` on, compiled."""

    def __init__(
        self, numbers: Mapping[str, int], tokens: np.ndarray, starts: np.ndarray, begin: int
    ) -> None:
        import numpy as np

        from alpaca_pipe.similarity.token_arrays import numbered_table, shelved

        self._table = table = numbered_table(numbers, tokens, starts)
        self._begin, self.end = begin, begin + len(table)
        every = np.diff(table.starts).astype(np.int32)
        self._arrays = (
            table.tokens,
            table.starts,
            table.ranks,
            *shelved(table, every),
            np.ones(len(table), np.bool_),
            np.full(table.words + 1, -1, np.int32),
        )
        self._best = np.zeros(3, np.int64)

    def nearest(
        self, words: Sequence[str], floors: Sequence[Fraction]
    ) -> tuple[int, Fraction] | None:
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
        while (
            count := kernels.near(
                tokens,
                rare,
                score.numerator,
                score.denominator,
                *self._arrays,
                found := np.zeros((room, 4), np.int32),
            )
        ) > room:
            room = count
        for _, _, common, total in found.tolist():
            if Fraction(2 * common, total) == score:
                yield common, len(words), total - len(words)
