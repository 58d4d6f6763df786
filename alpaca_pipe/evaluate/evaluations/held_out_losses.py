"""The loss on held-out answers, row by row, of every model under every prompt; and whether the tuned one is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import write_json, write_jsonl
from alpaca_pipe.evaluate.bootstrap import needed, paired
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.evaluate.verdict import judge
from alpaca_pipe.models.scoring import response_losses

Losses = Mapping[str, Sequence[tuple[float, int]]]  # contestant -> (nats, tokens) of each row


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    return len(contestant.prompts) * len(given.rows.examples)


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> dict[str, Any]:
    losses: dict[str, Any] = {}
    for name, prompt in loaded.contestant.prompts.items():
        before = len(losses) * len(given.rows.examples)

        def scored(count: int, before: int = before, name: str = name) -> None:
            loaded.at(before + count, name)

        rows, most = given.rows.encoded[prompt], given.config.batch_tokens
        losses[name] = response_losses(loaded.model, rows, most, scored)
    return losses


def _conclude(said: Mapping[str, Any], given: EvaluationInputs, folder: Path) -> dict[str, Any]:
    """Writes losses.jsonl, left_out.jsonl and verdict.json, which is its part of the summary."""
    losses: Losses = {name: scores for model in said.values() for name, scores in model.items()}
    summary = _summary(losses, given)
    write_jsonl(
        folder / "losses.jsonl",
        (
            {"id": example.id, "model": name, "nats": nats, "tokens": tokens}
            for name, scores in losses.items()
            for example, (nats, tokens) in zip(given.rows.examples, scores, strict=True)
        ),
    )
    left_out = (rejected.to_row() for rejected in given.rows.left_out)
    write_jsonl(folder / "left_out.jsonl", left_out)
    write_json(folder / "verdict.json", summary)
    return summary


def _summary(losses: Losses, given: EvaluationInputs) -> dict[str, Any]:
    """rows_needed: by other model, rows that would show the smallest difference that counts, 4 times in 5."""
    tokens = [count for _, count in losses["base"]]
    nats = {name: [one for one, _ in scores] for name, scores in losses.items()}
    least = given.config.min_difference
    means, differences = paired(nats, tokens, "tuned", given.seed, given.config.resamples)
    would_do = needed(nats, tokens, "tuned", lambda name: max(abs(differences[name].mean), least))
    verdict = judge(means, differences, len(tokens), given.missing, least, would_do)
    return {
        "verdict": verdict.word,
        "sentence": verdict.sentence,
        "min_difference": least,
        "rows": len(tokens),
        "tokens": sum(tokens),
        "loss": {
            name: means[name].rounded()
            for name in ("base", "chat", "tuned", "shuffled")
            if name in means
        },
        "difference": {name: interval.rounded() for name, interval in differences.items()},
        "rows_needed": needed(nats, tokens, "tuned", lambda name: least),
        "missing": dict(given.missing),
        "left_out": len(given.rows.left_out),
    }


LOSSES = Evaluation("losses", 10, _work, _ask, _conclude)
