"""Texts as arrays: their words by number, the same from rare to common, and each word's texts, as kernels.py wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class TokenArrays:
    """Rows of words. An occurrence is a word with how many of it stood in its row before: so a bag of words is a set."""

    numbers: Mapping[str, int]  # word -> its number; it may know more of them than were there
    words: int  # numbers below this one stand in rows
    tokens: np.ndarray  # int32, word numbers, rows end to end
    starts: np.ndarray  # int64, (rows + 1,): where each row begins
    keys: np.ndarray  # int64, every occurrence once, rising
    rank: np.ndarray  # int32, of each of the keys: 0 is the rarest
    ranks: np.ndarray  # int32, the occurrences of each row from rare to common, rows end to end
    prints: np.ndarray  # uint64, (rows, 2): fingerprints of the bags

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Word numbers, and ranks from rare to common, of a text that is no row; -1 for what no row has."""
        import numpy as np

        count, before = self.words, dict[int, int]()
        numbers = [self.numbers.get(word, -1) for word in words]
        if count < len(self.numbers):
            numbers = [number if number < count else -1 for number in numbers]
        occurrences = []
        for number in numbers:
            again = before[number] = before.get(number, -1) + 1
            occurrences.append(number + again * count if number >= 0 else -1)
        tokens, keys = np.array(numbers, np.int32), np.array(occurrences, np.int64)
        if not len(self.keys):
            return tokens, tokens
        where = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return tokens, np.sort(np.where(self.keys[where] == keys, self.rank[where], -1))


def table_of(rows: Sequence[Sequence[str]]) -> TokenArrays:
    import numpy as np

    numbers: dict[str, int] = {}
    tokens = np.array(
        [numbers.setdefault(word, len(numbers)) for row in rows for word in row], np.int32
    )
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    return numbered_table(numbers, tokens, starts)


def numbered_table(
    numbers: Mapping[str, int], tokens: np.ndarray, starts: np.ndarray
) -> TokenArrays:
    """Of rows whose words have their numbers already."""
    import numpy as np

    from alpaca_pipe.similarity import kernels

    words = len(numbers)
    keys, which, counts = np.unique(
        kernels.occurrences(tokens, starts, words), return_inverse=True, return_counts=True
    )
    rank = np.empty(len(keys), np.int32)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(keys), dtype=np.int32)
    ranks = rank[which]
    kernels.sort_rows(ranks, starts)
    return TokenArrays(
        numbers, words, tokens, starts, keys, rank, ranks, kernels.fingerprints(ranks, starts)
    )


def shelved(table: TokenArrays, ends: np.ndarray) -> tuple[np.ndarray, ...]:
    """The texts of each occurrence, by length and then by row, as far as the first `ends` words of a row go: for each
    posting its row, the word's place in that row and the row's print; where each (occurrence, length) begins; its length;
    and where each occurrence's lengths begin."""
    import numpy as np

    from alpaca_pipe.similarity import kernels

    word, length, row, place = kernels.postings(table.ranks, table.starts, ends)
    order = np.lexsort((row, length, word))
    word, length, row, place = word[order], length[order], row[order], place[order]
    changes = (word[1:] != word[:-1]) | (length[1:] != length[:-1])
    new = np.flatnonzero(np.concatenate([[True] * (len(word) > 0), changes]))
    shelves = np.concatenate([new, [len(word)]])
    of_word = np.searchsorted(word[new], np.arange(len(table.keys) + 1))
    return row, place, table.prints[row], shelves, length[new], of_word
