"""Many prompts answered by one model: greedy, like lengths together, each batch as large as its positions allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alpaca_pipe.core.example import Example
from alpaca_pipe.evaluate.evaluations.base import EvaluationInputs, LoadedModel
from alpaca_pipe.evaluate.samples import SampleAnswer, answers

_KEPT = 4  # positions of a cache are this much cheaper than positions that are scored


def answer_all(
    loaded: LoadedModel,
    given: EvaluationInputs,
    examples: Sequence[Example],
    most: int,
    told: Callable[[int], None],
) -> list[SampleAnswer]:
    """One answer each, in order, under the prompt that the model is read with. told: how many are done."""
    asked = given.encoders[loaded.contestant.read]
    prompts = asked.prompts(examples)
    order = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), at))
    found: list[SampleAnswer | None] = [None] * len(prompts)
    done = 0
    while done < len(order):
        batch = _batch(order[done:], prompts, most, _KEPT * given.config.batch_tokens)
        said = answers(
            loaded.model, loaded.tokenizer, [prompts[at] for at in batch], most, asked.form.end_id
        )
        for at, one in zip(batch, said, strict=True):
            found[at] = one._replace(text=asked.form.bare(one.text))
        done += len(batch)
        told(done)
    return [one for one in found if one is not None]


def _batch(
    order: Sequence[int], prompts: Sequence[Sequence[int]], most: int, positions: int
) -> Sequence[int]:
    """The first so many of what is left; lengths rise, so the last one is the longest."""
    count = 1
    while count < len(order) and (count + 1) * (len(prompts[order[count]]) + most) <= positions:
        count += 1
    return order[:count]
