"""What the model said of each answer before its first step: computed once, stored, and read again by whoever goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.align.preference_ids import LabelledIds, PairIds
from alpaca_pipe.align.trl_trainers import mismatched
from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.core.files import read_jsonl_so_far, write_jsonl

Said = dict[str, Any]


def pair_reference(
    trainer: Any,
    rows: Sequence[PairIds],
    file: Path,
    stopping: Callable[[], bool] = lambda: False,
    at: Callable[[int], None] = lambda done: None,
) -> list[Said]:
    """{id, chosen, rejected} of each row: the log-probability of the answer after its prompt, in nats, summed over its tokens."""

    def one(row: PairIds) -> Said:
        sides = [(row.prompt, row.chosen), (row.prompt, row.rejected)]
        chosen, rejected = answer_log_probs(trainer, sides)
        return {"id": row.id, "chosen": chosen, "rejected": rejected}

    return _stored(rows, one, file, stopping, at)


def labelled_reference(
    trainer: Any,
    rows: Sequence[LabelledIds],
    file: Path,
    stopping: Callable[[], bool] = lambda: False,
    at: Callable[[int], None] = lambda done: None,
) -> list[Said]:
    """{id, answer, other}: of its answer, and of the answer that KTO reads under its prompt."""
    others = dict(zip((row.id for row in rows), mismatched(rows), strict=True))

    def one(row: LabelledIds) -> Said:
        sides = [(row.prompt, row.answer), (row.prompt, others[row.id])]
        answer, other = answer_log_probs(trainer, sides)
        return {"id": row.id, "answer": answer, "other": other}

    return _stored(rows, one, file, stopping, at)


def _stored(
    rows: Sequence[Any],
    one: Callable[[Any], Said],
    file: Path,
    stopping: Callable[[], bool],
    at: Callable[[int], None],
) -> list[Said]:
    """Row by row into the file, so that an interrupted run goes on where it was. Raises Stopped."""
    known = list(read_jsonl_so_far(file))[: len(rows)]
    write_jsonl(file, known)
    with file.open("a", encoding="utf-8") as stream:
        for row in rows[len(known) :]:
            if stopping():
                raise Stopped
            said = one(row)
            stream.write(json.dumps(said) + "\n")
            stream.flush()
            known.append(said)
            at(len(known))
    return known


def answer_log_probs(
    trainer: Any, sides: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[float]:
    """Sum of log p(token | before it) over each answer's tokens, in one batch, by the code that will train on them: at its
    first step the model then is exactly where it began. sides: (prompt, answer) each."""
    import torch

    width = max(len(prompt) + len(answer) for prompt, answer in sides)
    ids = torch.full((len(sides), width), int(trainer.processing_class.pad_token_id))
    real, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for place, (prompt, answer) in enumerate(sides):
        end = len(prompt) + len(answer)
        ids[place, :end] = torch.tensor([*prompt, *answer])
        real[place, :end] = 1
        labels[place, len(prompt) : end] = torch.tensor(answer)
    where = trainer.accelerator.device
    with torch.no_grad(), trainer.accelerator.autocast():
        said = trainer.model(
            input_ids=ids.to(where),
            attention_mask=real.to(where),
            labels=labels.to(where),
            use_cache=False,
            fused_lm_head=True,
        ).log_probs
    return [float(one) for one in said.sum(dim=1)]
