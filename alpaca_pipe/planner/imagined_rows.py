"""A teacher that runs out of ideas, imagined: rows whose repeats the real join has to find.

Ideas are drawn by a power law over their rank (Zipf-Mandelbrot): the first ones again and again, new ones ever more seldom. An idea
is a task of some words; each time that it is told one or two of them may be others, which the 0.7 rule sees through.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.fast_dataclass import dataclass

_WORDS = 4000  # that tasks are made of
_LEAST, _MOST = 9, 16  # words of a task
_OFFSET = 2000.0  # ranks that are drawn about equally often


@dataclass(frozen=True)
class ImaginedRows:
    """`count` rows, the same ones each time they are iterated over. spread: exponent of the power law, above 1: the larger, the sooner
    ideas repeat."""

    count: int
    spread: float
    seed: int

    def __iter__(self) -> Iterator[Example]:
        chance = random.Random(self.seed)
        for number in range(self.count):
            words = idea(self._rank(chance.random()), self.seed)
            for _ in range(chance.choice((0, 1, 1, 2))):
                words[chance.randrange(len(words))] = f"w{chance.randrange(_WORDS)}"
            yield Example.of(" ".join(words), "", f"a{number}", Origin("generated", f"r1-{number}"))

    def __len__(self) -> int:
        return self.count

    def _rank(self, place: float) -> int:
        """Inverse of the share of draws up to a rank."""
        return int(_OFFSET * ((1 - place) ** (-1 / (self.spread - 1)) - 1))


def idea(rank: int, seed: int) -> list[str]:
    """Its words, by its number alone."""
    digest = hashlib.blake2b(f"{seed} {rank}".encode(), digest_size=2 * _MOST + 1).digest()
    length = _LEAST + digest[-1] % (_MOST - _LEAST + 1)
    parts = (int.from_bytes(digest[2 * at : 2 * at + 2], "big") for at in range(length))
    return [f"w{part % _WORDS}" for part in parts]
