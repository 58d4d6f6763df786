"""A grown model as transformers has it: its configuration, its weights, its folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import open_to_others
from alpaca_pipe.grow.copying import HEAD, deepened, stacked, widened, with_zero_blocks
from alpaca_pipe.grow.widths import Sides, sides_of
from alpaca_pipe.models.architecture import Architecture
from alpaca_pipe.weights.checkpoint import save_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from alpaca_pipe.grow.copying import Weights


def check_kind(config: Any) -> None:
    """UserError for what is built otherwise than a LLaMA."""
    if config.model_type != "llama":
        raise UserError(
            f"grow: the base is of model_type {config.model_type}, and only LLaMA's weights are known to it",
            "take a base whose config.json says model_type llama",
        )


def weights_of(model: PreTrainedModel) -> Weights:
    """By name; a tied head is left out."""
    found = {name: weight.detach() for name, weight in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        found.pop(HEAD, None)
    return found


def copied(
    base: PreTrainedModel, method: str, before: Architecture, after: Architecture, seed: int
) -> PreTrainedModel:
    """The larger model by copies. method: zero_blocks, net2net, stack, or scratch, which copies nothing."""
    import torch

    if method == "scratch":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return empty_model(base, after, 1.0)
    generator = torch.Generator().manual_seed(seed)
    sides = sides_of(before, after, generator)
    wide = widened(weights_of(base), sides, int(base.config.head_dim), generator)
    layers, wanted = int(before.layers), int(after.layers)
    plan = with_zero_blocks(layers, wanted) if method == "zero_blocks" else stacked(layers, wanted)
    return filled(base, after, sides, deepened(wide, plan))


def filled(
    base: PreTrainedModel, after: Architecture, sides: Sides, weights: Weights
) -> PreTrainedModel:
    """A model of the new shape with these weights, in float32."""
    model = empty_model(base, after, sides.norm)
    missing, left = model.load_state_dict(weights, strict=False)
    tied = {HEAD} if base.config.tie_word_embeddings else set()
    if set(missing) - tied or left:
        raise AssertionError(f"weights do not fit the shape: {missing}, {left}")
    model.tie_weights()
    return model


def empty_model(base: PreTrainedModel, after: Architecture, norm: float) -> PreTrainedModel:
    """Of the new shape, its weights as they are drawn. norm: see Sides."""
    import copy

    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(base.config)
    config.hidden_size = int(after.hidden)
    config.intermediate_size = int(after.feed_forward)
    config.num_hidden_layers = int(after.layers)
    config.num_attention_heads = int(after.heads)
    config.num_key_value_heads = int(after.kv_heads)
    config.rms_norm_eps = config.rms_norm_eps * norm
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).float()
    model.generation_config = base.generation_config
    return model


def save_grown(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, draft: Path, folder: Path
) -> None:
    """Under its name only when it is whole."""
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    model.float().save_pretrained(draft)
    save_tokenizer(tokenizer, draft)
    open_to_others(draft)
    folder.parent.mkdir(exist_ok=True)
    draft.rename(folder)
