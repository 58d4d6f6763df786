"""Exact ROUGE-L among instructions: which known text is nearest, and is it too near?

F = 2 LCS / (m + n) over words, compared in integers: a pair at exactly the wanted likeness is not above it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from sys import intern

from alpaca_pipe.core.fast_dataclass import compact_dataclass
from alpaca_pipe.similarity.words import SPLIT, Words

FLOORS = (
    Fraction(2, 5),
    Fraction(1, 5),
    Fraction(0),
)  # a high one is quick, and does for most


def floors_below(likeness: Fraction) -> tuple[Fraction, ...]:
    """Where to look for the nearest text, one after the other: above the likeness first."""
    return likeness, *(floor for floor in FLOORS if floor < likeness)


@compact_dataclass(frozen=True)
class Neighbour:
    """The nearest known text and its exact F."""

    id: str
    score: Fraction


class Index:
    """Texts by id, in the order in which they were added.

    The words that two texts share, each as often as both have it, bound their LCS from above. So a text of m words can
    only be near one of n words if it shares one of its m - need + 1 rarest words with it, where `need` is the least LCS
    that lifts F over the floor (prefix filter, Chaudhuri et al. 2006). The few texts left are compared exactly.
    """

    def __init__(self, likeness: Decimal | Fraction, words: Words) -> None:
        self.likeness = Fraction(likeness)
        self._split = SPLIT[words]
        self._ids: list[str] = []
        self._texts: list[tuple[str, ...]] = []
        self._places: dict[
            str, dict[int, list[int]]
        ] = {}  # occurrence -> number of words -> texts that have it
        self._known: defaultdict[str, int] = defaultdict(
            int
        )  # occurrence -> number of texts that have it
        self._lengths: set[int] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str, text: str) -> None:
        """Makes a text known. One without any word is never near anything."""
        words = tuple(map(intern, self._split(text)))
        place, length = len(self._ids), len(words)
        self._ids.append(id)
        self._texts.append(words)
        self._lengths.add(length)
        for occurrence in occurrences(words):
            self._places.setdefault(occurrence, {}).setdefault(length, []).append(place)
            self._known[occurrence] += 1

    def above(self, words: Sequence[str], floor: Fraction) -> Neighbour | None:
        """The nearest known text to one of these words (the first of several) if its F is above the floor, strictly."""
        found = self._best(words, floor)
        return Neighbour(self._ids[found[0]], found[1]) if found else None

    def blocked(self, text: str) -> Neighbour | None:
        """The nearest known text (the first of several) if its F is above the likeness, strictly."""
        return self._nearest(text, (self.likeness,))

    def nearest(self, text: str) -> Neighbour | None:
        """The nearest known text (the first of several); None if no known text shares a word with it."""
        return self._nearest(text, floors_below(self.likeness))

    def other(self, id: str, text: str) -> Neighbour | None:
        """The nearest known text that has another id."""
        words = self._split(text)
        found = next(
            (
                found
                for floor in floors_below(self.likeness)
                if (found := self._best(words, floor, id))
            ),
            None,
        )
        return Neighbour(self._ids[found[0]], found[1]) if found else None

    def at(self, text: str, score: Fraction) -> Iterator[tuple[int, int, int]]:
        """(LCS, words of the text, words of the known one) of each known text with exactly this F, above 0."""
        words = self._split(text)
        size, positions = len(words), _positions(words)
        rarest = sorted(occurrences(words), key=lambda occurrence: self._known.get(occurrence, 0))
        for length in self._lengths:
            wanted = Fraction(score * (size + length), 2)
            if wanted.denominator == 1 and wanted <= min(size, length):
                for place in self._sharing(rarest[: size - int(wanted) + 1], length):
                    if _lcs(positions, size, self._texts[place]) == wanted:
                        yield int(wanted), size, length

    def every(self, text: str) -> Iterator[tuple[str, Fraction]]:
        """(id, F) of each known text whose F is above the likeness, strictly."""
        words = self._split(text)
        size, positions = len(words), _positions(words)
        rarest = sorted(occurrences(words), key=lambda occurrence: self._known.get(occurrence, 0))
        for length in self._lengths:
            need = _least(self.likeness, size + length)
            if need <= min(size, length):
                for place in self._sharing(rarest[: size - need + 1], length):
                    common = _lcs(positions, size, self._texts[place])
                    if common >= need:
                        yield self._ids[place], Fraction(2 * common, size + length)

    def _nearest(self, text: str, floors: Sequence[Fraction]) -> Neighbour | None:
        words = self._split(text)
        return next((found for floor in floors if (found := self.above(words, floor))), None)

    def _best(
        self, words: Sequence[str], floor: Fraction, but: str = ""
    ) -> tuple[int, Fraction] | None:
        """The text with the highest F above the floor, the first of several. but: an id that does not count."""
        size, positions = len(words), _positions(words)
        rarest = sorted(occurrences(words), key=lambda occurrence: self._known.get(occurrence, 0))
        best: tuple[int, Fraction] | None = None
        for length in sorted(self._lengths, key=lambda n: abs(n - size)):
            need = (
                _least(floor, size + length)
                if best is None
                else _least_again(best[1], size + length)
            )
            if need > min(size, length):
                continue
            for place in self._sharing(rarest[: size - need + 1], length):
                common = _lcs(positions, size, self._texts[place])
                if common < need or self._ids[place] == but:
                    continue
                score = Fraction(2 * common, size + length)
                if best is None or (-score, place) < (-best[1], best[0]):
                    best, need = (place, score), common
        return best

    def _sharing(self, wanted: Sequence[str], length: int) -> set[int]:
        """The texts of that many words which have one of the occurrences."""
        found: set[int] = set()
        for occurrence in wanted:
            found.update(self._places.get(occurrence, {}).get(length, ()))
        return found


def rouge_l(one: str, other: str, words: Words) -> Fraction:
    """F of two texts; 0 where one of them has no word."""
    first, second = SPLIT[words](one), SPLIT[words](other)
    if not first or not second:
        return Fraction(0)
    return Fraction(2 * _lcs(_positions(first), len(first), second), len(first) + len(second))


def _least(floor: Fraction, total: int) -> int:
    """The least LCS with 2 LCS / total > floor; at least 1."""
    return floor.numerator * total // (2 * floor.denominator) + 1


def _least_again(score: Fraction, total: int) -> int:
    """The least LCS with 2 LCS / total >= score."""
    return -(-score.numerator * total // (2 * score.denominator))


def occurrences(words: Sequence[str]) -> Iterator[str]:
    """`the`, and `the 2` for the second one in the text: so a bag of words is a set."""
    seen: dict[str, int] = {}
    for word in words:
        count = seen[word] = seen.get(word, 0) + 1
        yield word if count == 1 else f"{word} {count}"


def _positions(words: Sequence[str]) -> dict[str, int]:
    """word -> bits of the places where it stands."""
    bits: dict[str, int] = {}
    for place, word in enumerate(words):
        bits[word] = bits.get(word, 0) | 1 << place
    return bits


def _lcs(positions: dict[str, int], size: int, words: Sequence[str]) -> int:
    """Length of the longest common subsequence, all places of the first text at once (Hyyrö 2004)."""
    row = whole = (1 << size) - 1
    for word in words:
        if bits := positions.get(word):
            matched = row & bits
            row = (row + matched) | (row - matched)
    return size - (row & whole).bit_count()
