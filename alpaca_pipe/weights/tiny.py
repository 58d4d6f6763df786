"""A random LLaMA of two layers, for rehearsals and tests: everything is real except what it knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.files import cache_dir, digest_of
from alpaca_pipe.weights.checkpoint import save_tokenizer, whole_folder
from alpaca_pipe.weights.folder_digest import tokenizer_digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
}
_SEED = 0


def tiny_checkpoint(tokenizer: Path | None = None, shape: Mapping[str, Any] | None = None) -> Path:
    """The folder of the tiny model, built on first use. tokenizer: a folder that has one; None is the stand-in. shape: of a new
    model in its place, as LlamaConfig takes it."""
    source = tokenizer_digest(tokenizer) if tokenizer else "bytes, answers end in EOS"
    name = "new" if shape else "tiny"
    folder = (
        cache_dir() / "checkpoints" / f"{name}-{digest_of([shape or _SHAPE, _SEED, source])[:12]}"
    )
    if not folder.is_dir():
        with whole_folder(folder) as draft:
            build_tiny(draft, tokenizer, shape)
    return folder


def build_tiny(
    folder: Path, tokenizer: Path | None = None, shape: Mapping[str, Any] | None = None
) -> None:
    """Writes model and tokenizer into `folder`; the same bytes on every call."""
    import torch
    import transformers
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    transformers.logging.disable_progress_bar()
    words = AutoTokenizer.from_pretrained(tokenizer) if tokenizer else byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        **{"tie_word_embeddings": True, **(shape or _SHAPE)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    save_tokenizer(words, folder)


def byte_tokenizer() -> PreTrainedTokenizerBase:
    """A stand-in that needs no file: one token a byte, `<s>` before each text, with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<unk>", "<s>", "</s>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    plan = Tokenizer(
        models.BPE({token: i for i, token in enumerate(special + letters)}, [], unk_token="<unk>")
    )
    plan.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plan.decoder = decoders.ByteLevel()
    plan.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    plan.add_special_tokens(special)
    words: PreTrainedTokenizerBase = PreTrainedTokenizerFast(
        tokenizer_object=plan,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<unk>",
    )
    words.chat_template = (
        "{{ bos_token }}{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}"
        "{{ eos_token if m['role'] == 'assistant' }}{{ '\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    return words
