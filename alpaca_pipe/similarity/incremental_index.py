"""The index of rouge.py for many texts, compiled: text_table.py. The same answers; without Numba, the plain index."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING

from alpaca_pipe.similarity.rouge import Index, Neighbour
from alpaca_pipe.similarity.words import SPLIT, Words

if TYPE_CHECKING:
    import numpy as np

    from alpaca_pipe.similarity.text_table import TextTable

_COMPILED_FROM = 2000  # texts: below, loading Numba (0.5 s, and 10 s once a machine) would cost more than it saves


class IncrementalIndex:
    """Texts by id, in the order in which they were added."""

    def __init__(self, likeness: Decimal | Fraction, words: Words) -> None:
        self.likeness = Fraction(likeness)
        self._split = SPLIT[words]
        self._ids: list[str] = []
        self._numbers: dict[str, int] = {}  # of each word
        self._tokens, self._starts = array("i"), array("q", [0])  # until they are compiled
        self._plain = Index(likeness, words)
        self._table: TextTable | None = None
        self._compiled = find_spec("numba") is not None
        self._asked: tuple[str, np.ndarray] | None = None  # the text last looked up

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str, text: str) -> None:
        """Makes a text known. One without any word is never near anything."""
        self._ids.append(id)
        if self._table is not None:
            self._table.add(self._numbered(text))
            return
        self._note(text)
        self._plain.add(id, text)
        if self._compiled and len(self._ids) >= _COMPILED_FROM:
            self.settle()

    def extend(self, texts: Iterable[tuple[str, str]]) -> None:
        """Makes many (id, text) known at once."""
        every = list(texts)
        if (
            self._table is not None
            or not self._compiled
            or len(self._ids) + len(every) < _COMPILED_FROM
        ):
            for id, text in every:
                self.add(id, text)
            return
        for id, text in every:
            self._ids.append(id)
            self._note(text)
        self.settle()

    def _note(self, text: str) -> None:
        self._tokens.extend(self._numbers_of(text))
        self._starts.append(len(self._tokens))

    def _numbers_of(self, text: str) -> list[int]:
        known = self._numbers
        return [known.setdefault(word, len(known)) for word in self._split(text)]

    def _numbered(self, text: str) -> np.ndarray:
        import numpy as np

        if not self._asked or self._asked[0] != text:
            self._asked = text, np.array(self._numbers_of(text), np.int32)
        return self._asked[1]

    def settle(self) -> None:
        """Moves every text into the table."""
        import numpy as np

        from alpaca_pipe.similarity.text_table import TextTable

        if self._table is not None:
            self._table.file()
            return
        self._table = TextTable(np.array(self._tokens), np.array(self._starts))
        del self._tokens, self._starts, self._plain

    def nearest(self, text: str) -> Neighbour | None:
        """The nearest known text (the first of several); None if no known text shares a word with it."""
        if self._table is None:
            return self._plain.nearest(text)
        if not (found := self._table.nearest(self._numbered(text))):
            return None
        row, common, total = found
        return Neighbour(self._ids[row], Fraction(2 * common, total))

    def at(self, text: str, score: Fraction) -> Iterator[tuple[int, int, int]]:
        """(LCS, words of the text, words of the known one) of each known text with exactly this F, above 0."""
        if self._table is None:
            yield from self._plain.at(text, score)
            return
        numbers = self._numbered(text)
        for common, total in self._table.at(numbers, score):
            yield common, len(numbers), total - len(numbers)
