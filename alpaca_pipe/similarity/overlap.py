"""Which texts of a set another text holds, told by runs of words.

Words are compared in lower case without punctuation. A text is held where another one

- shares `ngram` words in a row with it (13, as in GPT-3's appendix C, Brown et al. 2020),
- or holds the whole of it, where it is shorter and has at least 8 words (the least that GPT-3 takes),
- or is it, word for word, where it has 4 to 7 words; of an answer this is asked from 8 words on, for short answers are
  rightly alike.

A run of words that stands in more than ten different texts of a set is its template and says nothing (GPT-3 ignores such
as well). Runs are kept as they are, not as hashes, so the answer is exact. Memory: about 200 bytes for each run, that is
for each word of the set (1 million words: 0.2 GB).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from alpaca_pipe.core.example import Example
from alpaca_pipe.similarity.words import LEAST_INSIDE, unicode_words

LEAST_WHOLE = 4  # words of a text that counts where it is all of an instruction or an input
TEMPLATE = 10  # different texts that may share a run of words


@dataclass
class Overlap:
    """Texts of a set by their runs of words."""

    ngram: int = 13
    runs: dict[str, int] = field(default_factory=dict)  # of `ngram` words -> number of the text
    short: dict[str, list[tuple[str, int]]] = field(
        default_factory=dict
    )  # first 8 words -> whole texts shorter than a run
    whole: dict[str, int] = field(default_factory=dict)  # texts of 4 to 7 words
    places: list[str] = field(default_factory=list)  # of each text: file#line
    _seen: set[str] = field(default_factory=set)

    @staticmethod
    def of(texts: Iterable[tuple[str, str]], ngram: int = 13) -> Overlap:
        """Of (place, text)."""
        found = Overlap(ngram)
        shared: Counter[str] = Counter()
        for place, text in texts:
            found._add(place, unicode_words(text), shared)
        for run, others in shared.items():
            if others >= TEMPLATE:
                del found.runs[run]
        found._seen.clear()
        return found

    def _add(self, place: str, words: list[str], shared: Counter[str]) -> None:
        joined = " ".join(words)
        if len(words) < LEAST_WHOLE or joined in self._seen:
            return
        self._seen.add(joined)
        number = len(self.places)
        self.places.append(place)
        if len(words) < LEAST_INSIDE:
            self.whole[joined] = number
            return
        if len(words) < self.ngram:
            self.short.setdefault(" ".join(words[:LEAST_INSIDE]), []).append((joined, number))
            return
        size = self.ngram
        for run in {
            " ".join(words[start : start + size]) for start in range(len(words) - size + 1)
        }:
            if self.runs.setdefault(run, number) != number:
                shared[run] += 1

    def reason(self, example: Example) -> str | None:
        """The evaluation row that this one holds, and the words that they share."""
        prompt = f"{example.instruction}\n{example.input}" if example.input else example.instruction
        for name, text in (
            ("instruction", prompt),
            ("input", example.input),
            ("output", example.output),
        ):
            words = unicode_words(text) if text else []
            joined = " ".join(words)
            if name != "output" and (found := self.whole.get(joined)) is not None:
                return f"the {name} is a text of {self.places[found]}: '{joined}'"
            if name == "input":
                continue  # its runs are in the prompt
            if shared := self._shared(words):
                place, run = shared
                return (
                    f"the {name} shares {run.count(' ') + 1} words in a row with {place}: '{run}'"
                )
        return None

    def runs_in(self, text: str, answer: bool = False) -> set[str]:
        """The runs, and the whole texts that are shorter, that this text has in common with the set. answer: short texts do not
        count."""
        words = unicode_words(text)
        found = {run for _, run in self._all_shared(words)}
        whole = " ".join(words)
        return found | {whole} if whole in self.whole and not answer else found

    def _shared(self, words: list[str]) -> tuple[str, str] | None:
        return next(self._all_shared(words), None)

    def _all_shared(self, words: list[str]) -> Iterator[tuple[str, str]]:
        runs, size = self.runs, self.ngram
        for start in range(len(words) - size + 1):
            run = " ".join(words[start : start + size])
            if run in runs:
                yield self.places[runs[run]], run
        for start in range(len(words) - LEAST_INSIDE + 1) if self.short else ():
            for text, number in self.short.get(" ".join(words[start : start + LEAST_INSIDE]), ()):
                if " ".join(words[start : start + text.count(" ") + 1]) == text:
                    yield self.places[number], text
