"""How an answer is drawn, said in full: what is left open is taken from the checkpoint, and a penalty is not greedy decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase


def decoding(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_new_tokens: int,
    temperature: float = 0.0,
    end: int | None = None,
) -> GenerationConfig:
    """Greedy at temperature 0, else from the whole distribution; it stops at `ends` or after max_new_tokens."""
    from transformers import GenerationConfig

    drawn = (
        {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        if temperature
        else {"do_sample": False}
    )
    return GenerationConfig(
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=ends(model, tokenizer, end),
        **drawn,
    )


def ends(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, end: int | None = None
) -> list[int]:
    """EOS, whatever else the checkpoint says ends a turn, and the end that a template writes."""
    said = getattr(model.generation_config, "eos_token_id", None)
    return sorted(
        {
            int(tokenizer.eos_token_id),
            *([] if end is None else [end]),
            *(said if isinstance(said, list) else [] if said is None else [said]),
        }
    )
