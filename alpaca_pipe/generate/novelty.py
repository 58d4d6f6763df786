"""Whether a draft may stay: complete, of a sane length, and unlike everything that is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from alpaca_pipe.core.example import Example
from alpaca_pipe.generate.reply import Draft
from alpaca_pipe.similarity.rouge import Index, Neighbour
from alpaca_pipe.similarity.words import SPLIT, Words

_FEWEST, _MOST = 4, 150  # words of an instruction; Stanford's filter drops 3 and fewer, and more than 150


@dataclass(frozen=True)
class Objection:
    """Why a draft is dropped. nearest: what it resembles, as the pool knows it."""

    rule: str
    reason: str
    nearest: str = ""


class Pool:
    """All instructions that a new one must differ from: the seeds, and what was let in since."""

    def __init__(self, seeds: Iterable[Example], likeness: Decimal, words: Words) -> None:
        self._words, self._likeness = SPLIT[words], likeness
        self._index = Index(likeness, words)
        for seed in seeds:
            self._index.add(seed.id, seed.instruction)

    def judge(self, draft: Draft, id: str) -> Objection | Neighbour | None:
        """The objection to a draft; where there is none it is let in as `id`, and its nearest neighbour is answered."""
        if fault := self._fault(draft) or output_fault(draft):
            return fault
        nearest = self._index.nearest(draft.instruction)
        if nearest and nearest.score > self._index.likeness:
            return Objection("near_duplicate", f"ROUGE-L F {float(nearest.score):.3f} with a known instruction, "
                             f"at most {self._likeness} wanted", nearest.id)
        self._index.add(id, draft.instruction)
        return nearest

    def _fault(self, draft: Draft) -> Objection | None:
        count = len(self._words(draft.instruction))
        if count == 0:
            return Objection("no_words", "the instruction has no word that could be compared")
        if count < _FEWEST:
            return Objection("min_words", f"the instruction has {count} words, at least {_FEWEST} wanted")
        if count > _MOST:
            return Objection("max_words", f"the instruction has {count} words, at most {_MOST} wanted")
        return None


def output_fault(draft: Draft) -> Objection | None:
    """What is wrong with an output that is there."""
    if draft.output is None:
        return None
    if not draft.output:
        return Objection("empty_output", "the output is empty")
    if draft.output == draft.instruction:
        return Objection("output_is_instruction", "the output is the instruction again")
    if draft.output == draft.input:
        return Objection("output_is_input", "the output is the input again")
    return None
