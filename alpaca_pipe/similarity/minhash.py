"""Near-duplicates by MinHash (Broder 1997): candidates from locality-sensitive hashing (rensa), each verified by its exact F.

No row is dropped wrongly; a few duplicates are missed. Two texts with an F of f share at least f / (2 - f) of their bags of
words, and the bands are chosen so that a pair that stands exactly at the likeness is found in 99 of 100 cases. On short
instructions, which share their commonest words, it is slower than the exact join (`make bench-curate` measures both, and
the recall): take it for long texts, where the exact join's comparisons are long too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import islice, tee

from alpaca_pipe.similarity.rouge import occurrences, rouge_l
from alpaca_pipe.similarity.words import SPLIT, Text, Words

_VALUES = 240  # of a signature: divisible by 1 to 6
_FOUND = 0.99
_SEED = 42
_AT_ONCE = 10_000


def bands(likeness: Decimal | Fraction) -> int:
    """The fewest, so the longest and most selective, that find a pair at the likeness in 99 of 100 cases."""
    share = float(likeness) / (2 - float(likeness))
    rows = next(
        (rows for rows in (6, 5, 4, 3, 2) if 1 - (1 - share**rows) ** (_VALUES // rows) >= _FOUND),
        1,
    )
    return _VALUES // rows


def greedy(
    texts: Iterable[Text], likeness: Decimal | Fraction, words: Words
) -> Iterator[tuple[int, int, Fraction]]:
    """The pass in row order: (place, place of the nearest kept candidate before it, their F) of each text that has one above
    the likeness, strictly. Of two texts each must be: then both end to end are as well, and are looked up by."""
    from rapidfuzz.distance import Indel, LCSseq
    from rapidfuzz.process import cdist
    from rensa import RMinHashLSH

    likeness, split = Fraction(likeness), SPLIT[words]
    cutoff = float(likeness) - 1e-6  # the few at it are compared again in integers
    shelf = RMinHashLSH(
        0.5, _VALUES, bands(likeness)
    )  # its threshold is for a method that is not used here
    numbers: dict[str, int] = {}
    kept: dict[int, list[int]] = {}
    letters: dict[int, str] = {}
    pairs: dict[int, tuple[str, str]] = {}
    looked_up, told = tee(texts)
    words_of_each = ([word for text in _parts(row) for word in split(text)] for row in looked_up)
    for place, ((signature, tokens), text_s) in enumerate(
        zip(_signed(words_of_each), told, strict=True)
    ):
        row = [numbers.setdefault(token, len(numbers)) for token in tokens]
        text = "".join(chr(number % _LETTERS + 1) for number in row)
        others = shelf.query(signature) if row else []
        near = cdist(
            [text],
            [letters[other] for other in others],
            scorer=Indel.normalized_similarity,
            score_cutoff=cutoff,
        )[0]
        best: tuple[Fraction, int] | None = None
        for other in (others[at] for at in near.nonzero()[0]):
            score = Fraction(2 * LCSseq.similarity(row, kept[other]), len(row) + len(kept[other]))
            if score > likeness and other in pairs:
                score = min(map(rouge_l, text_s, pairs[other], [words] * 2))
            if score > likeness and (best is None or (score, -other) > best):
                best = score, -other
        if best:
            yield place, -best[1], best[0]
        elif row:
            shelf.insert(place, signature)
            kept[place], letters[place] = row, text
            if not isinstance(text_s, str):
                pairs[place] = text_s


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


_LETTERS = 0xD000  # words beyond share a character: a few candidates more


def _signed(rows: Iterator[list[str]]) -> Iterator[tuple[object, list[str]]]:
    """Each row with the signature of its bag of words; so many at once, for that is faster."""
    from rensa import RMinHash

    while block := list(islice(rows, _AT_ONCE)):
        yield from zip(
            RMinHash.from_token_sets([list(occurrences(row)) for row in block], _VALUES, _SEED),
            block,
            strict=True,
        )
