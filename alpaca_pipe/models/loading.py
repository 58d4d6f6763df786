"""Tokenizers and models from a checkpoint: for training, and for scoring with or without what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.nf4 import compute_in_fp32, nf4_config, rounded, trained_on_nf4
from alpaca_pipe.weights.base import Checkpoint

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint. Where it names no pad token, EOS pads: labels are explicit, nothing is resized."""
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            checkpoint.source, revision=checkpoint.revision
        )
    except (OSError, ValueError) as error:
        raise _cannot_load("tokenizer", checkpoint, error) from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def load_model(checkpoint: Checkpoint, dtype: str, nf4: bool = False) -> PreTrainedModel:
    """The model of a checkpoint on the CPU, in the dtype named ("float32", "bfloat16").

    nf4: its linear layers in four bits, on the GPU where there is one; see nf4.py.
    """
    import torch
    from transformers import AutoModelForCausalLM

    quiet_transformers()
    more: dict[str, Any] = {}
    if nf4:
        where = device()
        more = {
            "quantization_config": nf4_config(where.type == "cuda"),
            "device_map": {"": 0 if where.type == "cuda" else "cpu"},
        }
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            checkpoint.source, revision=checkpoint.revision, dtype=getattr(torch, dtype), **more
        )
    except (OSError, ValueError) as error:
        raise _cannot_load("model", checkpoint, error) from None
    if nf4:
        compute_in_fp32(model)
    return model


def load_base_of(checkpoint: Checkpoint, adapter: Path, dtype: str) -> PreTrainedModel:
    """The base that an adapter was trained on: as it is, or rounded to four bits and back."""
    if not trained_on_nf4(adapter):
        return load_model(checkpoint, dtype)
    import torch

    return rounded(load_model(checkpoint, "float32", nf4=True)).to(getattr(torch, dtype))


def load_for_scoring(
    checkpoint: Checkpoint, folder: Path | None = None, dtype: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model ready to answer (eval mode, on the GPU where there is one) and the tokenizer that goes with it.

    folder: what a training left: an adapter is put onto the checkpoint, a full model is loaded in its place; None is
    the checkpoint as it is. dtype: None means fp32 on the CPU and bf16 on a GPU.
    """
    dtype = dtype or ("bfloat16" if device().type == "cuda" else "float32")
    if folder is None:
        model, tokenizer = load_model(checkpoint, dtype), load_tokenizer(checkpoint)
    elif is_adapter(folder):
        from peft import PeftModel

        model = PeftModel.from_pretrained(load_base_of(checkpoint, folder, dtype), str(folder))  # type: ignore[assignment]
        tokenizer = load_tokenizer(Checkpoint(str(folder)))
    else:
        trained = Checkpoint(str(folder))
        model, tokenizer = load_model(trained, dtype), load_tokenizer(trained)
    return model.to(device()).eval(), tokenizer  # type: ignore[arg-type]


def is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()


def quiet_transformers() -> None:
    """No bars and no warnings of the libraries between our own lines."""
    import warnings

    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\b")


def _cannot_load(what: str, checkpoint: Checkpoint, error: Exception) -> UserError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(
        f"the {what} of {checkpoint.source} cannot be loaded: {first}",
        "base.model is a known name, a hub id, a checkpoint folder or a GGUF file",
    )
