"""Contamination: rows that hold what an evaluation asks or answers, so that a good score would mean nothing.

Words are compared in lower case without punctuation. A row is contaminated where its instruction (with its input), its
input or its output

- shares `ngram` words in a row with a text of an evaluation set (13, as in GPT-3's appendix C, Brown et al. 2020),
- or holds the whole of a shorter text that has at least 8 words (the least that GPT-3 takes),
- or is, word for word, a text of 4 to 7 words; of an output this is asked from 8 words on, for short answers are rightly
  alike.

A run of words that stands in more than ten different texts of a set is its template and says nothing (GPT-3 ignores such
as well). Runs are kept as they are, not as hashes, so the answer is exact. Memory: about 200 bytes for each run, that is
for each word of the evaluation sets (1 million words: 0.2 GB).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.config import LEAST_INSIDE, Contamination
from alpaca_pipe.curate.filter_config import ActiveFilter
from alpaca_pipe.data.compression import chunks
from alpaca_pipe.data.file_formats import rows_of
from alpaca_pipe.data.hub import hub_rows
from alpaca_pipe.data.records import Beside, Found, Record
from alpaca_pipe.data.shapes import exchange
from alpaca_pipe.data.shapes.layout import Layout, signature_of
from alpaca_pipe.data.source_files import files_of
from alpaca_pipe.data.source_kinds import HubId
from alpaca_pipe.data.tabular import csv_rows
from alpaca_pipe.similarity.words import unicode_words

RULE = "contamination"
LEAST_WHOLE = 4  # words of a text that counts where it is all of an instruction or an input
TEMPLATE = 10  # different texts that may share a run of words


@dataclass
class Overlap:
    """Texts of evaluation sets by their runs of words."""

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

    def _shared(self, words: list[str]) -> tuple[str, str] | None:
        runs, size = self.runs, self.ngram
        for start in range(len(words) - size + 1):
            run = " ".join(words[start : start + size])
            if run in runs:
                return self.places[runs[run]], run
        for start in range(len(words) - LEAST_INSIDE + 1) if self.short else ():
            for text, number in self.short.get(" ".join(words[start : start + LEAST_INSIDE]), ()):
                if " ".join(words[start : start + text.count(" ") + 1]) == text:
                    return self.places[number], text
        return None

    def as_filter(self) -> ActiveFilter:
        return ActiveFilter(RULE, self.reason, "all_answers")


def overlap(how: Contamination) -> Overlap:
    """Reads the evaluation sets. Raises UserError for what cannot be read: a row that is passed over would go unnoticed."""
    return Overlap.of(chain.from_iterable(map(_texts, how.sets)), how.ngram)


def _texts(source: Path | HubId) -> Iterator[tuple[str, str]]:
    """(place, text) of each text of an evaluation set, whatever its keys are called."""
    for name, found in _found(source):
        if isinstance(found, Beside):
            continue
        if not isinstance(found, Record):
            raise UserError(f"{source}:{found.at}: {found.what}", found.cure)
        for text in _strings(found.value):
            yield f"{name}#{found.at}", text


def _found(source: Path | HubId) -> Iterator[tuple[str, Found]]:
    if isinstance(source, HubId):
        yield from ((str(source), one) for one in hub_rows(source))
        return
    bare = source.name.removesuffix(".gz").removesuffix(".zst").lower()
    if source.is_file() and bare.endswith((".txt", ".md")):
        lines = b"".join(chunks(source)).decode("utf-8-sig", "replace").split("\n")
        yield from ((source.name, Record(number, line)) for number, line in enumerate(lines, 1))
        return
    if source.is_file() and bare.endswith((".csv", ".tsv")):
        yield from (
            (source.name, one)
            for one in csv_rows(chunks(source), "\t" if bare.endswith(".tsv") else ",")
        )
        return
    for path, name, form in files_of(source, every_split=True):
        yield from ((name, one) for one in rows_of(path, form))


def _strings(value: Any) -> Iterator[str]:
    """Every text of a row. An instruction and the input that it works on are one text: without it, it is a template."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, dict):
        fit = exchange.fit(Layout.of(signature_of(value)))
        inputs = fit.keys("input") if fit else ()
        both = [fit.key("instruction"), *inputs] if fit and inputs else []
        if both:
            yield "\n".join(str(value[key]) for key in both)
        for key, one in value.items():
            if key not in both and key not in ("id", "system"):
                yield from _strings(one)
