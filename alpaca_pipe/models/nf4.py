"""A base in four bits: linear layers as NF4 with double quantisation (QLoRA, arXiv:2305.14314), by bitsandbytes.

What an adapter was trained beside is the *rounded* base, so that is what it is scored on and merged into: the same
rounding, taken back to whole numbers of bits. On a CPU bitsandbytes computes with fp32, on a GPU with bf16.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NOTE = "quantised_base.json"  # in an adapter's folder
_HOW = {"format": "nf4", "double_quantisation": True}


def nf4_config(on_gpu: bool) -> Any:
    """For `from_pretrained`. UserError where bitsandbytes is not installed."""
    if find_spec("bitsandbytes") is None:
        raise UserError(
            "a base in 4 bits (train.method: qlora) needs the extra 'qlora', which is not installed",
            "pip install 'alpaca-pipe[qlora]'",
        )
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=_HOW["format"],
        bnb_4bit_use_double_quant=_HOW["double_quantisation"],
        bnb_4bit_compute_dtype=torch.bfloat16 if on_gpu else torch.float32,
    )


def is_nf4(model: PreTrainedModel) -> bool:
    return bool(getattr(model, "is_loaded_in_4bit", False))


def compute_in_fp32(model: PreTrainedModel) -> None:
    """On a CPU with AVX512-BF16 the first pass in eval mode would lay the weights out anew, and every pass after it, in
    training too, would round to bf16 (bitsandbytes 0.50.2): the scores of a model would depend on what was asked before."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def rounded(model: PreTrainedModel) -> PreTrainedModel:
    """A model of 4 bits as a plain one whose weights are what those bits stand for."""
    import torch

    plain: PreTrainedModel = model.dequantize(dtype=torch.float32)
    return plain


def note_nf4(folder: Path) -> None:
    """Beside an adapter: what it was trained on."""
    write_json(folder / _NOTE, _HOW)


def trained_on_nf4(folder: Path) -> bool:
    """Whether the adapter in a folder belongs to a rounded base. UserError for a rounding that is not ours."""
    if not (folder / _NOTE).is_file():
        return False
    if read_json(folder / _NOTE) != _HOW:
        raise UserError(
            f"{folder.name}/{_NOTE} names a rounding that this version does not know",
            "take the version that trained it",
        )
    return True
