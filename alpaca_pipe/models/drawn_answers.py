"""Answers drawn from a model: several a prompt, a few prompts at once, the same ones on every call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.models.decoding import decoding, ends

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_AT_ONCE = 32  # answers of a batch: a CPU draws them about four times as fast as four


class DrawnAnswer(NamedTuple):
    """ids: without the end token. ended: the model stopped by itself; else max_new_tokens cut it off."""

    ids: tuple[int, ...]
    ended: bool


def prompts_at_once(each: int) -> int:
    """How many prompts with so many answers each make a batch."""
    return max(1, _AT_ONCE // each)


def drawn_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    each: int,
    max_new_tokens: int,
    temperature: float,
    end: int,
    seed: int,
) -> list[list[DrawnAnswer]]:
    """`each` answers to every prompt (ids), in order. Draws depend on the seed and on the prompts of their batch, the first
    `prompts_at_once(each)` of the list, the next ones and so on, and on nothing that was drawn before. The model is in eval
    mode."""
    found: list[list[DrawnAnswer]] = []
    size = prompts_at_once(each)
    for start in range(0, len(prompts), size):
        batch = prompts[start : start + size]
        rows = _of_batch(model, tokenizer, batch, each, max_new_tokens, temperature, end, seed)
        found += [rows[at * each : (at + 1) * each] for at in range(len(batch))]
    return found


def _of_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    each: int,
    max_new_tokens: int,
    temperature: float,
    end: int,
    seed: int,
) -> list[DrawnAnswer]:
    """All answers to the first prompt, then those to the second ..."""
    import torch

    told = f"{seed} {temperature} {max_new_tokens} {list(map(list, prompts))}".encode()
    ending, width = ends(model, tokenizer, end), max(map(len, prompts))
    ids = torch.full((len(prompts) * each, width), int(tokenizer.pad_token_id))
    real = torch.zeros_like(ids)
    for at in range(len(ids)):
        prompt = prompts[at // each]
        ids[at, width - len(prompt) :] = torch.tensor(list(prompt))
        real[at, width - len(prompt) :] = 1
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode():
        torch.manual_seed(int.from_bytes(hashlib.sha256(told).digest()[:8]) >> 1)
        rows = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=real.to(model.device),
            generation_config=decoding(model, tokenizer, max_new_tokens, temperature, end),
        )[:, width:].tolist()
    return [_cut(row, ending) for row in rows]


def _cut(row: Sequence[int], ending: Sequence[int]) -> DrawnAnswer:
    stop = next((place for place, token in enumerate(row) if token in ending), None)
    return DrawnAnswer(tuple(row[:stop]), stop is not None)
