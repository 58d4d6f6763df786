"""Answers drawn from a model: several a prompt, the same ones on every call, whatever was drawn before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.models.decoding import decoding, ends

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class DrawnAnswer(NamedTuple):
    """ids: without the end token. ended: the model stopped by itself; else max_new_tokens cut it off."""

    ids: tuple[int, ...]
    ended: bool


def drawn_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    each: int,
    max_new_tokens: int,
    temperature: float,
    end: int,
    seed: int,
    told: Callable[[int], None] = lambda done: None,
) -> list[list[DrawnAnswer]]:
    """`each` answers to every prompt (ids), in order; all of one prompt in one batch, whose draws depend on seed, prompt and
    settings alone. temperature 0: greedy, one answer each. The model is in eval mode."""
    if not temperature:
        each = 1
    found = []
    for place, prompt in enumerate(prompts):
        found.append(
            _of_one(model, tokenizer, prompt, each, max_new_tokens, temperature, end, seed)
        )
        told(place + 1)
    return found


def _of_one(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    each: int,
    max_new_tokens: int,
    temperature: float,
    end: int,
    seed: int,
) -> list[DrawnAnswer]:
    import torch

    said = f"{seed} {temperature} {max_new_tokens} {list(prompt)}".encode()
    ending = ends(model, tokenizer, end)
    ids = torch.tensor([list(prompt)] * each, device=model.device)
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode():
        torch.manual_seed(int.from_bytes(hashlib.sha256(said).digest()[:8]) >> 1)
        rows = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=decoding(model, tokenizer, max_new_tokens, temperature, end),
        )[:, len(prompt) :].tolist()
    return [_cut(row, ending) for row in rows]


def _cut(row: Sequence[int], ending: Sequence[int]) -> DrawnAnswer:
    stop = next((place for place, token in enumerate(row) if token in ending), None)
    return DrawnAnswer(tuple(row[:stop]), stop is not None)
