"""What a model answers when asked: greedy, a few prompts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Answer(NamedTuple):
    """ended: the model stopped by itself; else max_new_tokens cut it off."""

    text: str
    ended: bool


def answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]],
            max_new_tokens: int) -> list[Answer]:
    """One greedy answer to each prompt (ids), all in one batch, padded on the left. The model is in eval mode."""
    import torch
    from transformers import GenerationConfig

    if not prompts:
        return []
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), int(tokenizer.pad_token_id))
    real = torch.zeros_like(ids)
    for place, prompt in enumerate(prompts):
        ids[place, width - len(prompt):] = torch.tensor(prompt)
        real[place, width - len(prompt):] = 1
    ends = _ends(model, tokenizer)
    # said in full, for what is left open here is taken from the checkpoint, and a penalty is not greedy decoding
    plain = GenerationConfig(do_sample=False, num_beams=1, repetition_penalty=1.0, no_repeat_ngram_size=0,
                             max_new_tokens=max_new_tokens, pad_token_id=tokenizer.pad_token_id, eos_token_id=ends)
    with torch.inference_mode():
        found = model.generate(input_ids=ids.to(model.device), attention_mask=real.to(model.device),
                               generation_config=plain)[:, width:].tolist()
    return [_answer(row, ends, tokenizer) for row in found]


def _answer(row: list[int], ends: list[int], tokenizer: PreTrainedTokenizerBase) -> Answer:
    stop = next((place for place, token in enumerate(row) if token in ends), None)
    text = tokenizer.decode(row[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Answer(str(text), stop is not None)


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """EOS, and whatever else the checkpoint says ends a turn."""
    said = getattr(model.generation_config, "eos_token_id", None)
    return sorted({int(tokenizer.eos_token_id), *(said if isinstance(said, list) else [] if said is None else [said])})
