"""A judge that costs nothing: habits that any answer should have. It does not know whether an answer is right."""

from __future__ import annotations

from alpaca_pipe.evaluate.evaluations.answer_habits import echoes, repeats_itself
from alpaca_pipe.evaluate.rules.text_units import words_of

_SHORT = 60  # words: what one needs to say little
_COMMON = 4  # letters: shorter words say nothing of a subject


def score(question: str, answer: str, ended: bool) -> float:
    """0 to 1, the share of five: it stopped by itself, does not repeat itself, gives no run of the question back, is of 1 to 60
    words, and takes up a word of the question of 4 letters and more."""
    words = [one.lower() for one in words_of(answer)]
    asked = {one.lower() for one in words_of(question) if len(one) >= _COMMON}
    held = (
        ended,
        bool(words) and not repeats_itself(answer),
        bool(words) and not echoes(question, answer),
        1 <= len(words) <= _SHORT,
        not asked or bool(asked & set(words)),
    )
    return sum(held) / len(held)
