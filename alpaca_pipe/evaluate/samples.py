"""What a model answers when asked: greedy, a few prompts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.models.decoding import decoding, ends

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class SampleAnswer(NamedTuple):
    """ended: the model stopped by itself; else max_new_tokens cut it off."""

    text: str
    ended: bool


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    end: int | None = None,
) -> list[SampleAnswer]:
    """One greedy answer to each prompt (ids), all in one batch, padded on the left. The model is in eval mode. end: what
    the prompts' template ends an answer with, where that is not EOS."""
    import torch

    if not prompts:
        return []
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), int(tokenizer.pad_token_id))
    real = torch.zeros_like(ids)
    for place, prompt in enumerate(prompts):
        ids[place, width - len(prompt) :] = torch.tensor(prompt)
        real[place, width - len(prompt) :] = 1
    ending = ends(model, tokenizer, end)
    with torch.inference_mode():
        found = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=real.to(model.device),
            generation_config=decoding(model, tokenizer, max_new_tokens, end=end),
        )[:, width:].tolist()
    return [_answer(row, ending, tokenizer) for row in found]


def _answer(row: list[int], ending: list[int], tokenizer: PreTrainedTokenizerBase) -> SampleAnswer:
    stop = next((place for place, token in enumerate(row) if token in ending), None)
    text = tokenizer.decode(
        row[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return SampleAnswer(str(text), stop is not None)
