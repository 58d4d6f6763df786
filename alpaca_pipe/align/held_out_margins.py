"""What a model makes of held-out preferences, and what its own answers look like."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.align.preference_ids import LabelledIds, PairIds
from alpaca_pipe.models.drawn_answers import DrawnAnswer, drawn_answers
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.models.scoring import response_losses

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_AT_ONCE = (
    512  # padded tokens: their logits over a large vocabulary are what a CPU's memory peaks with
)
HeldOut = Sequence[PairIds | LabelledIds]


@dataclass(frozen=True)
class Margins:
    """Of held-out rows, in order. margin: how much further the model has gone towards the chosen answer than towards the
    rejected one, in nats times beta; of a labelled answer, towards it where it is good, else away from it."""

    margins: tuple[float, ...]

    def votes(self, prompts: Sequence[Hashable]) -> list[float]:
        """One of each prompt, for its rows are not independent: 1 where their mean margin is above 0, 1/2 where it is 0, else 0.
        prompts: of each row; votes are in the order in which prompts first come."""
        of_prompt: dict[Hashable, list[float]] = {}
        for prompt, margin in zip(prompts, self.margins, strict=True):
            of_prompt.setdefault(prompt, []).append(margin)
        means = [sum(margins) / len(margins) for margins in of_prompt.values()]
        return [0.5 if mean == 0 else float(mean > 0) for mean in means]

    @property
    def mean(self) -> float:
        return sum(self.margins) / len(self.margins)


def said_of_answers(model: PreTrainedModel, rows: HeldOut) -> list[tuple[float, float]]:
    """Log-probability in nats of each row's (chosen, rejected) answer; of a labelled one (answer, 0)."""
    sides = [
        (row.prompt, answer)
        for row in rows
        for answer in ((row.chosen, row.rejected) if isinstance(row, PairIds) else (row.answer,))
    ]
    encoded = [(_encoded(prompt, answer),) for prompt, answer in sides]
    found = iter(-one.nats for one in response_losses(model, encoded, _AT_ONCE))
    return [(next(found), next(found) if isinstance(row, PairIds) else 0.0) for row in rows]


def margins(
    said: Sequence[tuple[float, float]],
    before: Sequence[tuple[float, float]],
    rows: HeldOut,
    beta: float,
) -> Margins:
    """before: what the model said where it began."""
    found = []
    for (one, other), (was, other_was), row in zip(said, before, rows, strict=True):
        moved = (one - was) - (other - other_was)
        sign = 1 if isinstance(row, PairIds) or row.label else -1
        found.append(beta * sign * moved)
    return Margins(tuple(found))


@dataclass(frozen=True)
class OwnAnswers:
    """Drawn answers to held-out prompts: tokens (each with its end), and the log-probability that their model gives them."""

    answers: tuple[tuple[int, ...], ...]
    ended: tuple[bool, ...]
    nats: tuple[float, ...]

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_row(row: dict[str, Any]) -> OwnAnswers:
        return OwnAnswers(
            tuple(tuple(ids) for ids in row["answers"]), tuple(row["ended"]), tuple(row["nats"])
        )

    @property
    def length(self) -> float:
        """Mean tokens of an answer."""
        return sum(map(len, self.answers)) / max(len(self.answers), 1)


def own_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[tuple[int, ...]],
    each: int,
    most: int,
    end: int,
    seed: int,
) -> OwnAnswers:
    """So many to each prompt, one after the other, drawn at temperature 1, which is what a distance to another model is measured
    on."""
    groups = drawn_answers(model, tokenizer, prompts, each, most, 1.0, end, seed)
    drawn: list[DrawnAnswer] = [one for group in groups for one in group]
    answers = tuple((*one.ids, end) if one.ended else one.ids for one in drawn)
    nats = log_probs(model, [prompt for prompt in prompts for _ in range(each)], answers)
    return OwnAnswers(answers, tuple(one.ended for one in drawn), tuple(nats))


def log_probs(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
) -> list[float]:
    """Of each answer after its prompt, in nats."""
    rows = [(_encoded(prompt, answer),) for prompt, answer in zip(prompts, answers, strict=True)]
    return [-one.nats for one in response_losses(model, rows, _AT_ONCE)]


def _encoded(prompt: Sequence[int], answer: Sequence[int]) -> Encoded:
    mask = (False,) * len(prompt) + (True,) * len(answer)
    return Encoded((*prompt, *answer), mask)
