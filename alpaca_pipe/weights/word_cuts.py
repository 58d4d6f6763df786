"""How a GGUF's byte-level vocabulary cuts text before it merges: by the name that the file has for it.

A merge never crosses a cut, so another cut gives other ids than the model was pre-trained with. Transformers knows some of
the names and cuts the others as GPT-2 does, without a word. Which name means what was found by asking llama.cpp
(2026.10, 650 texts a name); a name that is not here is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.fast_dataclass import dataclass

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Cut:
    """pattern: a name in transformers' own table, or one of ours below. whole: a piece that is a token by itself is that
    token, however the merges would spell it. bos: BOS stands first unless the file says otherwise. alike: llama.cpp
    cuts all texts as the pre-training did; of Tekken's and GPT-4o's rule it has a simpler one, the same for ASCII alone."""

    pattern: str
    whole: bool = False
    bos: bool = False
    alike: bool = True


def _cuts(names: str, pattern: str, whole: bool = False, bos: bool = False) -> dict[str, Cut]:
    return dict.fromkeys(names.split(), Cut(pattern, whole, bos))


_GPT2, _DIGITS = "gpt-2", "single digits, then gpt-2"
CUTS: Mapping[str, Cut] = {
    **_cuts("gpt-2 phi-2 mpt olmo jais trillion granite-docling gigachat a.x-4.0 mellum exaone4", _GPT2),
    **_cuts("smollm starcoder refact command-r codeshell exaone minerva-7b", _DIGITS),
    **_cuts("llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2", "llama3", True, True),
    **_cuts("glm4", "llama3", True),
    **_cuts("dbrx smaug-bpe chatglm-bpe", "llama3"),
    **_cuts("qwen2 stablelm2 hunyuan solar-open deepseek-r1-qwen kormo f2llmv2 megrez grok-2", "qwen2"),
    **_cuts("bailingmoe bailingmoe2 llada-moe", "qwen2"),
    **_cuts("qwen35", "qwen35"),
    "tekken": Cut("tekken", True, True, alike=False),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"), Cut("gpt-4o", alike=False)),
}  # fmt: skip

# What transformers 5.23 reads as llama.cpp does; of the others a checkpoint that it made has other ids.
_READ_ALIKE = frozenset(
    name for name, cut in CUTS.items() if not cut.whole and cut.pattern != _DIGITS
) - {
    *("stablelm2", "hunyuan", "solar-open", "grok-2", "bailingmoe", "bailingmoe2", "llada-moe"),
    "chatglm-bpe",
}


def read_otherwise(cut: str | None) -> bool:
    """Whether ids of a file with this cut are others than transformers alone would give."""
    return cut is not None and cut not in _READ_ALIKE


def unknown_cut(cut: str | None) -> str | None:
    """What is wrong with a file's cut, as a part of a sentence; None where it is known or there is none to know."""
    if cut is None or cut in CUTS:
        return None
    if not cut:
        return "does not say how its vocabulary cuts text (tokenizer.ggml.pre), so its ids would be a guess"
    return f"cuts text in a way that is not known here (tokenizer.ggml.pre = {cut}), so its ids would be a guess"


def name_of_cut(rules: Mapping[str, Any], whole: bool) -> str | None:
    """llama.cpp's name for the `pre_tokenizer` of a tokenizer.json, where it cuts alike; None where no name is known.

    whole: the file's `ignore_merges`.
    """
    for name, cut in CUTS.items():
        known = json.loads(_pre_tokenizer(cut.pattern).__getstate__())
        if cut.alike and cut.whole == whole and _steps(known) == _steps(rules):
            return name
    return None


def _steps(rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What moves no cut is left out."""
    steps = rules.get("pretokenizers", [rules])
    return [{key: said for key, said in step.items() if key != "trim_offsets"} for step in steps]


def cut_as(tokenizer: PreTrainedTokenizerBase, cut: str | None, says_bos: bool) -> None:
    """Makes a tokenizer that transformers built from a GGUF cut as the file means it. says_bos: the file has a word on BOS."""
    if cut is None:
        return
    wanted = CUTS[cut]
    backend: Any = tokenizer.backend_tokenizer  # type: ignore[attr-defined]
    backend.pre_tokenizer = _pre_tokenizer(wanted.pattern)
    if wanted.whole:
        backend.model.ignore_merges = True
    if wanted.bos and not says_bos and tokenizer.bos_token is not None:
        tokenizer.add_bos_token = True  # type: ignore[attr-defined]


def _pre_tokenizer(pattern: str) -> Any:
    from tokenizers import Regex, pre_tokenizers
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if pattern == _GPT2:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if pattern == _DIGITS:
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(GGUF_PRE_TOKENIZER_SPLITS[pattern]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
