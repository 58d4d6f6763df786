"""How base and tuned answer held-out rows, whatever they say: do they stop, echo, repeat themselves, answer at all and at length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.evaluate.answering import answer_all
from alpaca_pipe.evaluate.changes import Line
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.evaluate.rules.text_units import words_of

SUITE = "answers to held-out rows"
_ECHO = 6  # words of the question in a row that an answer may hold
_GRAM, _REPEATED = 4, 0.25  # words, and the share of such runs that come again


def _places(given: EvaluationInputs) -> list[int]:
    """Rows whose wanted answer has room within answer_tokens: of a longer one no model could reach the end."""
    most = given.config.answer_tokens
    found = [
        place
        for place, row in enumerate(given.rows.encoded["ours"])
        if row[-1].spans()[-1][1] - row[-1].spans()[-1][0] <= most
    ]
    return found[: given.config.habits]


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    return len(_places(given)) if contestant.read and given.config.habits else 0


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> list[Any]:
    """(text, whether it ended by itself) of each."""
    if not _work(loaded.contestant, given):
        return []
    rows = [given.rows.examples[place] for place in _places(given)]
    most = given.config.answer_tokens
    return answer_all(loaded, given, rows, most, lambda done: loaded.at(done, "held-out answers"))


def _runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]


def echoes(question: str, answer: str) -> bool:
    """It gives back a run of the question, beyond what any answer would."""
    asked = _runs([one.lower() for one in words_of(question)], _ECHO)
    said = set(_runs([one.lower() for one in words_of(answer)], _ECHO))
    return any(run in said for run in asked)


def repeats_itself(answer: str) -> bool:
    """A quarter of its runs of four words came before, or a line comes three times."""
    runs = _runs([one.lower() for one in words_of(answer)], _GRAM)
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    again = len(runs) - len(set(runs))
    return (bool(runs) and again / len(runs) >= _REPEATED) or any(
        lines.count(line) > 2 for line in set(lines)
    )


def _alike_in_length(answer: str, wanted: str) -> bool:
    said, meant = len(words_of(answer)), len(words_of(wanted))
    return meant <= 2 * said and said <= 2 * max(meant, 1)


_GOOD: Mapping[str, Callable[[Example, str, bool], bool]] = {
    "stopped by itself": lambda row, text, ended: ended,
    "says something": lambda row, text, ended: bool(text.strip()),
    "no echo of the question": lambda row, text, ended: (
        not echoes(row.asked, text) or echoes(row.asked, row.output)
    ),
    "no repetition": lambda row, text, ended: not repeats_itself(text),
    "half to twice as long as wanted": lambda row, text, ended: _alike_in_length(text, row.output),
}


def _conclude(said: Mapping[str, Any], given: EvaluationInputs, folder: Path) -> dict[str, Any]:
    """Writes habits.jsonl: each row's answers. left_out: rows whose wanted answer is longer than answer_tokens."""
    if not given.config.habits:
        return {}
    rows = [given.rows.examples[place] for place in _places(given)]
    write_jsonl(
        folder / "habits.jsonl",
        (
            {"id": row.id, "base": base, "base_ended": b, "tuned": tuned, "tuned_ended": t}
            for row, (base, b), (tuned, t) in zip(rows, said["base"], said["tuned"], strict=True)
        ),
    )
    good = {
        (name, what): [
            holds(row, text, ended) for row, (text, ended) in zip(rows, said[name], strict=True)
        ]
        for name in ("base", "tuned")
        for what, holds in _GOOD.items()
    }
    words = {
        name: median(len(words_of(text)) for text, _ in said[name]) if rows else 0
        for name in ("base", "tuned")
    }
    wanted = median(len(words_of(row.output)) for row in rows) if rows else 0
    asked = min(given.config.habits, len(given.rows.examples))
    return {
        "habits": {
            "rows": len(rows),
            "left_out": asked - len(rows),
            "median_words": {**words, "wanted": wanted},
            "compared": [
                Line(SUITE, what, good["base", what], good["tuned", what]) for what in _GOOD
            ],
        }
    }


HABITS = Evaluation("habits", 40, _work, _ask, _conclude)
