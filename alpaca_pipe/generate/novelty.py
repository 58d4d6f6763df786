"""Whether a draft may stay: complete, of a sane length, and unlike everything that is known."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.thinking import template_mark
from alpaca_pipe.core.word_count import is_unspaced, word_count
from alpaca_pipe.data import stanford_rules
from alpaca_pipe.generate.parsing.reply import Draft, Rejection
from alpaca_pipe.similarity.incremental_index import IncrementalIndex
from alpaca_pipe.similarity.rouge import Neighbour
from alpaca_pipe.similarity.words import SPLIT, Words, unicode_words

Ties = Literal["exact", "doubles"]


class Pool:
    """All instructions that a new one must differ from: the seeds, and what was let in since.

    ties: a pair at exactly the likeness is not above it ("exact"), or as the reference's doubles decide ("doubles").
    """

    def __init__(
        self, seeds: Iterable[Example], likeness: Decimal, words: Words, ties: Ties = "exact"
    ) -> None:
        self._words, self._likeness, self._ties = SPLIT[words], likeness, ties
        self._index = IncrementalIndex(likeness, words)
        self._index.extend((seed.id, seed.instruction) for seed in seeds)

    def __len__(self) -> int:
        return len(self._index)

    def judge(self, draft: Draft, id: str) -> Rejection | Neighbour | None:
        """Why a draft is rejected; where there is none it is let in as `id`, and its nearest neighbour is answered."""
        if self._ties == "exact" and not self._words(draft.instruction):
            return Rejection("no_words", "the instruction has no word that could be compared")
        nearest = self._index.nearest(draft.instruction)
        if nearest and self._too_near(draft.instruction, nearest):
            return Rejection(
                "likeness",
                f"ROUGE-L F {float(nearest.score):.3f} with a known instruction, "
                f"at most {self._likeness} wanted",
                nearest.id,
            )
        self._index.add(id, draft.instruction)
        return nearest

    def _too_near(self, instruction: str, nearest: Neighbour) -> bool:
        if nearest.score != self._index.likeness or self._ties == "exact":
            return nearest.score > self._index.likeness
        return any(
            _in_doubles(*pair) > float(self._likeness)
            for pair in self._index.at(instruction, nearest.score)
        )


def _in_doubles(common: int, words: int, known: int) -> float:
    """rouge_score's expression: some pairs at exactly 0.7 come out as 0.7000000000000001 (7 common words of 9 and 11)."""
    precision, recall = common / known, common / words
    return 2 * precision * recall / (precision + recall)


def unsound(draft: Draft) -> Rejection | None:
    """What is wrong with a draft by itself, in our own styles."""
    for name, text in (("instruction", draft.instruction), ("input", draft.input)):
        if mark := template_mark(text):
            return Rejection(
                "template_mark", f"the {name} holds '{mark}', which belongs to a chat template"
            )
    count = len(unicode_words(draft.instruction))
    if count == 0:
        return Rejection("no_words", "the instruction has no word that could be compared")
    if count < stanford_rules.FEWEST:
        return Rejection(
            "min_words",
            f"the instruction has {count} words, at least {stanford_rules.FEWEST} wanted",
        )
    if is_unspaced(draft.instruction):
        count = word_count(draft.instruction)
    if count > stanford_rules.MOST:
        return Rejection(
            "max_words", f"the instruction has {count} words, at most {stanford_rules.MOST} wanted"
        )
    return output_fault(draft)


def output_fault(draft: Draft) -> Rejection | None:
    """What is wrong with an output that is there."""
    if draft.output is None:
        return None
    if not draft.output:
        return Rejection("empty_output", "the output is empty")
    if draft.output == draft.instruction:
        return Rejection("output_is_instruction", "the output is the instruction again")
    if draft.output == draft.input:
        return Rejection("output_is_input", "the output is the input again")
    return None
