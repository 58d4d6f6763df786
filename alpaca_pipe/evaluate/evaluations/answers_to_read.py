"""A few held-out instructions, answered by base and tuned, to be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.evaluate.samples import answers


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    return min(given.config.samples, len(given.rows.examples)) if contestant.read else 0


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> list[Any]:
    """(text, whether it ended by itself) of each."""
    count = _work(loaded.contestant, given)
    if not count:
        return []
    asked = given.encoders[loaded.contestant.read]
    prompts = asked.prompts(given.rows.examples[:count])
    most = given.config.max_new_tokens
    found = answers(loaded.model, loaded.tokenizer, prompts, most, asked.form.end_id)
    loaded.at(count, "answers to read")
    return [one._replace(text=asked.form.bare(one.text)) for one in found]


def _conclude(said: Mapping[str, Any], given: EvaluationInputs, folder: Path) -> dict[str, Any]:
    """Writes samples.jsonl; figures are not its matter."""
    write_jsonl(
        folder / "samples.jsonl",
        (
            {
                "id": example.id,
                "instruction": example.instruction,
                "input": example.input,
                **_before(example),
                "wanted": example.output,
                "base": base,
                "base_ended": base_ended,
                "tuned": tuned,
                "tuned_ended": tuned_ended,
            }
            for example, (base, base_ended), (tuned, tuned_ended) in zip(
                given.rows.examples, said["base"], said["tuned"], strict=False
            )
        ),
    )
    return {}


def _before(example: Example) -> dict[str, Any]:
    """Of a conversation also what was said up to the answer that is wanted."""
    last = max((n for n, one in enumerate(example.messages) if one.is_learned), default=0)
    said = [one.to_row() for one in example.messages[:last]]
    return {"messages": said} if said else {}


ANSWERS = Evaluation("answers", 20, _work, _ask, _conclude)
