"""Tokenizers and models from a checkpoint: for training, and for scoring with or without what was trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.hub_repeats import repeats_told
from alpaca_pipe.core.screen import echo
from alpaca_pipe.models.nf4 import compute_in_fp32, nf4_config, rounded, trained_on_nf4
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.hub_base import ask_hub
from alpaca_pipe.weights.loading_info import loading_fault

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def _asked_for(checkpoint: Checkpoint) -> Iterator[None]:
    """Of the hub: that it gives the model is known before the loaders ask for each file, many times over, and its silence is
    one line. Raises UserError."""
    if checkpoint.revision is None:
        yield
        return

    def say(sentence: str) -> None:
        echo(sentence, err=True)

    ask_hub(checkpoint.source, checkpoint.revision, say)
    with repeats_told(say):
        yield


def load_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint. Where it names no pad token, EOS pads: labels are explicit, nothing is resized."""
    from transformers import AutoTokenizer

    try:
        with _asked_for(checkpoint):
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                checkpoint.source, revision=checkpoint.revision, trust_remote_code=False
            )
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  the loaders raise whatever their parts raise
        raise _cannot_load("tokenizer", checkpoint, error) from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def positions(checkpoint: Checkpoint, most: int) -> int:
    """How many tokens of a row the model has places for, at most `most`: beyond its positions it would answer at random, or
    not at all."""
    from transformers import AutoConfig

    try:
        with _asked_for(checkpoint):
            config = AutoConfig.from_pretrained(
                checkpoint.source, revision=checkpoint.revision, trust_remote_code=False
            ).get_text_config()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  the loaders raise whatever their parts raise
        raise _cannot_load("configuration", checkpoint, error) from None
    found = getattr(config, "max_position_embeddings", None)
    return min(most, found) if isinstance(found, int) and found > 0 else most


def load_model(checkpoint: Checkpoint, dtype: str, nf4: bool = False) -> PreTrainedModel:
    """The model of a checkpoint on the CPU, in the dtype named ("float32", "bfloat16").

    nf4: its linear layers in four bits, on the GPU where there is one; see nf4.py.
    Raises UserError for what cannot be loaded, and for weights that are missing or left over.
    """
    import torch
    from transformers import AutoModelForCausalLM

    quiet_transformers()
    more: dict[str, Any] = {}
    if nf4:
        where = device()
        more = {
            "quantization_config": nf4_config(where.type == "cuda"),
            "device_map": {"": torch.cuda.current_device() if where.type == "cuda" else "cpu"},
        }
    try:
        with _asked_for(checkpoint):
            loaded: tuple[PreTrainedModel, dict[str, Any]] = AutoModelForCausalLM.from_pretrained(
                checkpoint.source,
                revision=checkpoint.revision,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
                trust_remote_code=False,
                **more,
            )
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  the loaders raise whatever their parts raise
        raise _cannot_load("model", checkpoint, error) from None
    model, found = loaded
    if fault := loading_fault(found) or _not_itself(model, nf4):
        raise UserError(
            f"the model of {checkpoint.source} cannot be used: {fault}",
            "fetch the checkpoint again, all of its files, or use another base",
        )
    model.generation_config = _plain(model.generation_config)
    if nf4:
        compute_in_fp32(model)
    return model


def _not_itself(model: PreTrainedModel, nf4: bool) -> str | None:
    """What transformers did to it by itself, for what lies in the folder."""
    if getattr(model, "_hf_peft_config_loaded", False):
        return "its folder has an adapter too, and it was added to the model"
    if getattr(model.config, "quantization_config", None) is not None and not nf4:
        return "it is quantised, so its weights cannot be tuned or merged"
    return None


def _plain(said: GenerationConfig | None) -> GenerationConfig:
    """What a checkpoint says of its special tokens, without its habits of drawing: what it has there may be what
    transformers will not save, after all steps have run."""
    from transformers import GenerationConfig

    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return GenerationConfig(**{name: getattr(said, name, None) for name in names})


def put_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """The model with a trained adapter on it. Raises UserError where some of the adapter's weights find no place, or some
    places get none: peft would leave those as they are drawn."""
    from peft import PeftModel
    from safetensors import SafetensorError, safe_open

    try:
        adapted = PeftModel.from_pretrained(model, str(folder))
        with safe_open(folder / "adapter_model.safetensors", "pt") as file:
            there = set(file.keys())
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _cannot_load("adapter", Checkpoint(str(folder)), error) from None
    wanted = _adapter_weights(adapted)
    if wanted != there:
        raise UserError(
            f"the adapter in {folder.parent.name}/{folder.name} has other weights than its configuration says: "
            f"{len(wanted - there)} are missing, {len(there - wanted)} have no place",
            "train again: what was saved is not whole",
        )
    return adapted


def _adapter_weights(model: PeftModel) -> set[str]:
    from peft import get_peft_model_state_dict

    return set(get_peft_model_state_dict(model, save_embedding_layers=False))


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
        model = put_adapter(load_base_of(checkpoint, folder, dtype), folder)  # type: ignore[assignment]
        tokenizer = load_tokenizer(Checkpoint(str(folder)))
    else:
        trained = Checkpoint(str(folder))
        model, tokenizer = load_model(trained, dtype), load_tokenizer(trained)
    return model.to(device()).eval(), tokenizer  # type: ignore[arg-type]


def is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()


def quiet_transformers() -> None:
    """No bars and no warnings of the libraries between our own lines."""
    import logging
    import warnings

    import transformers

    # it asks a hub for a faster kernel, and warns that it does not: ours is chosen by models/nf4.py
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\b")


def _cannot_load(what: str, checkpoint: Checkpoint, error: Exception) -> UserError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(
        f"the {what} of {checkpoint.source} cannot be loaded: {first}",
        "base.model is a known name, a hub id, a checkpoint folder or a GGUF file",
    )
