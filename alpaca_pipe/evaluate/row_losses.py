"""The loss on wanted answers, row by row, of every model under every prompt; and whether the tuned one is better on these rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alpaca_pipe.evaluate.bootstrap import needed, paired
from alpaca_pipe.evaluate.evaluations.base import Contestant, EvaluationInputs, LoadedModel
from alpaca_pipe.evaluate.held_out import HeldOut
from alpaca_pipe.evaluate.verdict import RowsOf, judge
from alpaca_pipe.models.scoring import response_losses

Losses = Mapping[str, Sequence[tuple[float, int]]]  # contestant -> (nats, tokens) of each row


def work(contestant: Contestant, rows: HeldOut) -> int:
    return len(contestant.prompts) * len(rows.examples)


def score(loaded: LoadedModel, rows: HeldOut, batch_tokens: int) -> dict[str, Any]:
    """Of one model, by contestant."""
    losses: dict[str, Any] = {}
    for name, prompt in loaded.contestant.prompts.items():
        before = len(losses) * len(rows.examples)

        def scored(count: int, before: int = before, name: str = name) -> None:
            loaded.at(before + count, name)

        losses[name] = response_losses(loaded.model, rows.encoded[prompt], batch_tokens, scored)
    return losses


def by_contestant(said: Mapping[str, Any]) -> Losses:
    return {name: scores for model in said.values() for name, scores in model.items()}


def as_rows(losses: Losses, rows: HeldOut) -> Iterator[dict[str, Any]]:
    return (
        {"id": example.id, "model": name, "nats": nats, "tokens": tokens}
        for name, scores in losses.items()
        for example, (nats, tokens) in zip(rows.examples, scores, strict=True)
    )


def verdict_on(
    losses: Losses, rows: HeldOut, given: EvaluationInputs, rows_of: RowsOf
) -> dict[str, Any]:
    """rows_needed: by other model, rows that would show the smallest difference that counts, 4 times in 5."""
    tokens = [count for _, count in losses["base"]]
    nats = {name: [one for one, _ in scores] for name, scores in losses.items()}
    least = given.config.min_difference
    means, differences = paired(nats, tokens, "tuned", given.seed, given.config.resamples)
    would_do = needed(nats, tokens, "tuned", lambda name: max(abs(differences[name].mean), least))
    verdict = judge(means, differences, len(tokens), given.missing, least, would_do, rows_of)
    return {
        "verdict": verdict.word,
        "sentence": verdict.sentence,
        "rows_of": rows_of.called,
        "min_difference": least,
        "rows": len(tokens),
        "tokens": sum(tokens),
        "loss": {
            name: means[name].rounded()
            for name in ("base", "chat", "tuned", "shuffled", "sft")
            if name in means
        },
        "difference": {name: interval.rounded() for name, interval in differences.items()},
        "rows_needed": needed(nats, tokens, "tuned", lambda name: least),
        "missing": dict(given.missing),
        "left_out": len(rows.left_out),
    }
