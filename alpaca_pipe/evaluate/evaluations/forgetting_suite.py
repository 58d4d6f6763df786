"""What a tune forgot: small questions of several kinds with four answers each, and which of them the model finds likeliest.

Every model is asked each question twice, in two wordings. What the base answers otherwise from one wording to the other is
noise that no tune made: a loss within it is not called one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.evaluate.asked_rows import question
from alpaca_pipe.evaluate.changes import Line
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.models.loss_mask import joined
from alpaca_pipe.models.scoring import response_losses

SUITE = "small questions"
WORDINGS: tuple[Callable[[str], str], ...] = (
    lambda asked: f"{asked} Answer in a word or two.",
    lambda asked: f"Answer this question as shortly as you can. {asked}",
)
_CHOICES = 4


def questions() -> list[dict[str, Any]]:
    """id, kind, question, answer, others."""
    return list(read_jsonl(Path(str(files("alpaca_pipe.evaluate.forgetting") / "questions.jsonl"))))


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    if not (contestant.read and given.config.forgetting):
        return 0
    return len(WORDINGS) * _CHOICES * len(questions())


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> list[list[list[float]]]:
    """For each wording and question, the nats of each answer with its end, the right one first."""
    if not _work(loaded.contestant, given):
        return []
    encoder, asked = given.encoders[loaded.contestant.read], questions()
    told: list[list[list[float]]] = []
    for wording in WORDINGS:
        before = len(told) * _CHOICES * len(asked)

        def scored(count: int, before: int = before) -> None:
            loaded.at(before + count, "small questions")

        prompts = encoder.prompts([question(wording(one["question"])) for one in asked])
        choices = [[one["answer"], *one["others"]] for one in asked]
        ids = iter(encoder.answers([choice for some in choices for choice in some]))
        rows = [
            (joined(prompt, next(ids)),)
            for prompt, some in zip(prompts, choices, strict=True)
            for _ in some
        ]
        found = response_losses(loaded.model, rows, given.config.batch_tokens, scored)
        nats = [round(one.nats, 4) for one in found]
        told.append([nats[at : at + _CHOICES] for at in range(0, len(nats), _CHOICES)])
    return told


def right(nats: Sequence[float]) -> bool:
    """The right answer, which comes first, is likelier than each other."""
    return all(nats[0] < other for other in nats[1:])


def _conclude(said: Mapping[str, Any], given: EvaluationInputs, folder: Path) -> dict[str, Any]:
    """Writes forgetting.jsonl: each question with what was right, by wording. A question counts once in each wording."""
    if not given.config.forgetting:
        return {}
    asked = questions()
    found = {
        name: [[right(nats) for nats in wording] for wording in said[name]]
        for name in ("base", "tuned")
    }
    write_jsonl(
        folder / "forgetting.jsonl",
        (
            {**one, **{name: [wording[at] for wording in found[name]] for name in found}}
            for at, one in enumerate(asked)
        ),
    )
    kinds: dict[str, list[int]] = {one["kind"]: [] for one in asked} | {
        "all of them": list(range(len(asked)))
    }
    for at, one in enumerate(asked):
        kinds[one["kind"]].append(at)
    forgotten = [
        one["question"]
        for at, one in enumerate(asked)
        if all(wording[at] for wording in found["base"])
        and not any(wording[at] for wording in found["tuned"])
    ]
    return {
        "forgetting": {
            "questions": len(asked),
            "forgotten": forgotten,
            "compared": [_line(name, at, found) for name, at in kinds.items()],
        }
    }


def _line(name: str, places: Sequence[int], found: Mapping[str, list[list[bool]]]) -> Line:
    """Of a question that is right in one wording and wrong in the other, neither is more the model's answer: right in both
    counts. noise: how far the base's share differs between the wordings."""
    both = {
        model: [all(wording[at] for wording in wordings) for at in places]
        for model, wordings in found.items()
    }
    first, second = (sum(wording[at] for at in places) for wording in found["base"])
    return Line(SUITE, name, both["base"], both["tuned"], abs(first - second) / len(places))


FORGETTING = Evaluation("forgetting", 50, _work, _ask, _conclude)
