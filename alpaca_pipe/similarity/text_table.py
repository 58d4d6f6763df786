"""Texts as arrays, in which the nearest to a new text is found by compiled loops: nearest_kernels.py. They may grow."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_FEWEST = 1000  # texts that are looked through one after the other, before all are filed again


class TextTable:
    """Rows of word numbers. The first `filed` of them are found by their words, the latest are looked through."""

    def __init__(self, tokens: np.ndarray, starts: np.ndarray) -> None:
        """tokens: int32, rows end to end; starts: int64, (rows + 1,), where each begins."""
        import numpy as np

        self._tokens, self._starts, self._rows = tokens, starts, len(starts) - 1
        self._words = int(tokens.max(initial=-1)) + 1
        self._prints = np.zeros(4 * self._rows, np.uint64)  # four of each row: 256 bits
        self._slots, self._marks = np.zeros(0, np.int32), np.zeros(0, np.int64)
        self._best = np.zeros(4, np.int64)
        self._none = np.zeros((0, 2), np.int64)
        self._print(0)
        self.file()

    def __len__(self) -> int:
        return self._rows

    def row(self, number: int) -> np.ndarray:
        """Its word numbers."""
        return self._tokens[self._starts[number] : self._starts[number + 1]]

    def file(self) -> None:
        """Makes every row one that is found by its words."""
        import numpy as np

        from alpaca_pipe.similarity import nearest_kernels

        self._postings, self._offsets = nearest_kernels.postings(
            self._tokens, self._starts, self._rows, self._words, self._prints
        )
        self._latest = np.zeros(0, np.uint64)
        self._filed = self._rows

    def add(self, numbers: np.ndarray) -> None:
        """One more row. int32"""
        import numpy as np

        from alpaca_pipe.similarity import nearest_kernels

        begin = int(self._starts[self._rows])
        end = begin + len(numbers)
        self._tokens = _room(self._tokens, end)
        self._starts = _room(self._starts, self._rows + 2)
        self._prints = _room(self._prints, 4 * self._rows + 4)
        self._tokens[begin:end] = numbers
        self._starts[self._rows + 1] = end
        self._words = max(self._words, int(np.max(numbers, initial=-1)) + 1)
        self._rows += 1
        self._print(self._rows - 1)
        new = self._rows - self._filed
        self._latest = _room(self._latest, 3 * new)
        nearest_kernels.add_latest(
            self._starts, self._rows - 1, self._prints, self._latest, new - 1
        )
        # filing costs as many rows as there are, each query those that are not filed
        if self._rows - self._filed >= max(_FEWEST, isqrt(500 * self._rows)):
            self.file()

    def _print(self, begin: int) -> None:
        from alpaca_pipe.similarity import nearest_kernels

        self._slots = _room(self._slots, self._words)
        nearest_kernels.fingerprints(
            self._tokens, self._starts, begin, self._rows, self._slots, self._prints
        )

    def nearest(self, text: np.ndarray, but: int = -1) -> tuple[int, int, int] | None:
        """(row, LCS, words of both) of the nearest row, the first of several. text: word numbers, int32; but: a row that
        does not count."""
        self._search(text, Fraction(0), but, self._none)
        row, common, total = self._best[:3].tolist()
        return (row, common, total) if row >= 0 else None

    def at(self, text: np.ndarray, score: Fraction) -> list[tuple[int, int]]:
        """(LCS, words of both) of each row with exactly this F, above 0."""
        import numpy as np

        found = self._none
        while True:
            self._search(text, score / 2, -1, found)
            if (count := int(self._best[0])) == len(found):
                return [(common, total) for common, total in found.tolist()]
            found = np.zeros((count, 2), np.int64)

    def _search(self, text: np.ndarray, share: Fraction, but: int, out: np.ndarray) -> None:
        from alpaca_pipe.similarity import nearest_kernels

        self._slots = _room(self._slots, max(self._words, int(text.max(initial=-1)) + 1))
        self._marks = _room(self._marks, self._rows)
        nearest_kernels.search(
            text,
            share.numerator,
            share.denominator,
            but,
            self._tokens,
            self._starts,
            self._prints,
            self._postings,
            self._offsets,
            self._latest[: 3 * (self._rows - self._filed)],
            self._slots,
            self._marks,
            self._best,
            out,
        )


def _room(array: np.ndarray, count: int) -> np.ndarray:
    """The array, or one of twice the count with 0 behind."""
    import numpy as np

    if count <= len(array):
        return array
    larger = np.zeros(2 * count, array.dtype)
    larger[: len(array)] = array
    return larger
