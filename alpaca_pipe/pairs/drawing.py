"""Answers that the tuned model draws here; each prompt's are stored as they come, and an interrupted run goes on after them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_jsonl_so_far, write_jsonl
from alpaca_pipe.models.drawn_answers import drawn_answers, prompts_at_once
from alpaca_pipe.models.loading import load_for_scoring, positions
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import encoder_of
from alpaca_pipe.pairs.config import PairsConfig
from alpaca_pipe.pairs.prompts import PromptAnswer
from alpaca_pipe.weights.base import Checkpoint


def draw_here(
    rows: Sequence[Example],
    config: PairsConfig,
    checkpoint: Checkpoint,
    tuned: Path | None,
    seed: int,
    stored: Path,
    stopping: Callable[[], bool],
    at: Callable[[int], None],
) -> list[list[PromptAnswer]]:
    """num_generations answers to each row's prompt, in order; [] for a prompt that has no room. Raises Stopped."""
    size = prompts_at_once(config.num_generations)
    known = [_read(row) for row in read_jsonl_so_far(stored)][: len(rows)]
    if len(known) < len(rows):
        known = known[: len(known) // size * size]  # whole batches
    write_jsonl(stored, [_row(answers) for answers in known])
    if len(known) == len(rows):
        return known
    encoder = encoder_of(checkpoint, tuned, config.template, "pairs.template")
    model, _ = load_for_scoring(checkpoint, tuned)
    room = positions(checkpoint, 1 << 20)
    with stored.open("a", encoding="utf-8") as stream:
        for start in range(len(known), len(rows), size):
            if stopping():
                raise Stopped
            batch = rows[start : start + size]
            for answers in _answers(batch, config, model, encoder, seed, room):
                stream.write(json.dumps(_row(answers)) + "\n")
                known.append(answers)
            stream.flush()
            at(len(known))
    return known


def _answers(
    rows: Sequence[Example],
    config: PairsConfig,
    model: Any,
    encoder: Encoder,
    seed: int,
    room: int,
) -> list[list[PromptAnswer]]:
    prompts = encoder.prompts(rows)
    fitting = [
        at for at, ids in enumerate(prompts) if len(ids) + config.max_completion_length <= room
    ]
    drawn = drawn_answers(
        model,
        encoder.tokenizer,
        [prompts[at] for at in fitting],
        config.num_generations,
        config.max_completion_length,
        config.temperature,
        encoder.form.end_id,
        seed,
    )
    found: list[list[PromptAnswer]] = [[] for _ in rows]
    for at, group in zip(fitting, drawn, strict=True):
        texts = encoder.tokenizer.batch_decode(
            [list(one.ids) for one in group],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        both = zip(texts, group, strict=True)
        found[at] = [PromptAnswer(encoder.form.bare(text), one.ended) for text, one in both]
    return found


def _row(answers: Sequence[PromptAnswer]) -> list[Any]:
    return [[one.text, one.ended] for one in answers]


def _read(row: Sequence[Any]) -> list[PromptAnswer]:
    return [PromptAnswer(text, ended) for text, ended in row]
