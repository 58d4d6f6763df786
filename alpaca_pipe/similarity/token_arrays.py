"""Texts as arrays: their words by number, the same from rare to common, and each word's texts, as kernels.py wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class TokenArrays:
    """Rows of words. An occurrence is a word with how many of it stood in its row before: so a bag of words is a set."""

    occurrences: int  # different ones
    tokens: np.ndarray  # int32, word numbers, rows end to end
    starts: np.ndarray  # int64, (rows + 1,): where each row begins
    ranks: (
        np.ndarray
    )  # int32, the occurrences of each row from rare to common, 0 the rarest, rows end to end
    prints: np.ndarray  # uint64, (rows, 2): fingerprints of the bags

    def __len__(self) -> int:
        return len(self.starts) - 1


def numbered(rows: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Word numbers, rows end to end, and where each row begins. int32, int64"""
    import numpy as np

    numbers: dict[str, int] = {}
    tokens = [numbers.setdefault(word, len(numbers)) for row in rows for word in row]
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return np.array(tokens, np.int32), starts


def table_of(rows: Sequence[Sequence[str]]) -> TokenArrays:
    import numpy as np

    from alpaca_pipe.similarity import kernels

    tokens, starts = numbered(rows)
    words = int(tokens.max(initial=-1)) + 1
    keys, which, counts = np.unique(
        kernels.occurrences(tokens, starts, words), return_inverse=True, return_counts=True
    )
    rank = np.empty(len(keys), np.int32)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(keys), dtype=np.int32)
    ranks = rank[which]
    kernels.sort_rows(ranks, starts)
    return TokenArrays(len(keys), tokens, starts, ranks, kernels.fingerprints(ranks, starts))


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
    of_word = np.searchsorted(word[new], np.arange(table.occurrences + 1))
    return row, place, table.prints[row], shelves, length[new], of_word
