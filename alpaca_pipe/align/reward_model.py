"""The reward model: the tuned model with one number at the end of an answer instead of the next token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.align.policy import Beginning, load_policy
from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.models.loading import device, is_adapter, load_tokenizer, quiet_transformers
from alpaca_pipe.models.nf4 import trained_on_nf4
from alpaca_pipe.train.adapter import check_targets
from alpaca_pipe.weights.base import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HEAD = "score"  # what transformers calls the layer that gives the number
_AT_ONCE = 2048  # padded tokens of a batch


def new_reward_model(
    begin: Beginning, use_peft: bool, lora: Mapping[str, Any] | None, scratch: Path
) -> PreTrainedModel:
    """With a head that is drawn (set the seed first), on the CPU. As load_policy, but the adapter also trains the head whole."""
    from peft import LoraConfig, PeftConfig, get_peft_model, set_peft_model_state_dict

    if begin.tuned is not None and begin.has_adapter and trained_on_nf4(begin.tuned):
        raise UserError(
            "align: a reward model does not begin with an adapter of qlora",
            "train it with train.method: lora",
        )
    model = _with_head(begin.source, begin.dtype)
    if not use_peft:
        if begin.has_adapter:
            merged: Any = load_policy(begin, False, None, scratch)
            model.base_model.load_state_dict(merged.base_model.state_dict())
        return model
    if begin.has_adapter:
        assert begin.tuned is not None
        config: Any = PeftConfig.from_pretrained(str(begin.tuned))
        config.task_type, config.inference_mode = "SEQ_CLS", False
        config.modules_to_save = [*(config.modules_to_save or ()), HEAD]
    else:
        check_targets(model, (lora or {})["target_modules"])
        config = LoraConfig(**(lora or {}), task_type="SEQ_CLS", modules_to_save=[HEAD])
    adapted = get_peft_model(model, config)
    if begin.has_adapter:
        from safetensors.torch import load_file

        assert begin.tuned is not None
        weights = load_file(begin.tuned / "adapter_model.safetensors")
        weights[f"base_model.model.{HEAD}.weight"] = model.score.weight.detach()  # type: ignore[union-attr, operator]
        left = set_peft_model_state_dict(adapted, weights)
        assert not left.unexpected_keys, left.unexpected_keys
    return adapted  # type: ignore[return-value]


def load_reward_model(folder: Path, checkpoint: Checkpoint, dtype: str) -> PreTrainedModel:
    """One that was trained, in eval mode where the GPU is, else on the CPU. UserError for a model without a head."""
    check_head(folder)
    if not is_adapter(folder):
        model = _with_head(Checkpoint(str(folder)), dtype)
    else:
        from peft import PeftModel

        model = PeftModel.from_pretrained(_with_head(checkpoint, dtype), str(folder))  # type: ignore[assignment]
    return model.to(device()).eval()  # type: ignore[arg-type]


def check_head(folder: Path) -> None:
    """UserError where no file of weights in the folder has a head: transformers would draw one and say nothing."""
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(
            f"align.reward_model: {folder} has no weights (*.safetensors)",
            "name the folder `reward_model` that method: reward leaves, or remove the key",
        )
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                if any(f".{name}".endswith(f".{HEAD}.weight") for name in file.keys()):  # noqa: SIM118
                    return
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"align.reward_model: {path} cannot be read: {error}", "fetch or train it again"
            ) from None
    raise UserError(
        f"align.reward_model: the model in {folder} has no reward head (no weight '{HEAD}'), so it gives no reward",
        "name the folder `reward_model` that method: reward leaves, or remove the key: one is trained first",
    )


def padding_tokenizer(checkpoint: Checkpoint, end: int) -> PreTrainedTokenizerBase:
    """A tokenizer whose pad token ends no answer: the number is read at the last token that is not it."""
    tokenizer = load_tokenizer(checkpoint)
    ends = {end, tokenizer.eos_token_id}
    offered = (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id, *range(8))
    chosen = next(one for one in offered if one is not None and one not in ends)
    tokenizer.pad_token = str(tokenizer.convert_ids_to_tokens(chosen))
    return tokenizer


def rewards(model: Any, answers: Sequence[Sequence[int]]) -> list[float]:
    """One number for each sequence of prompt and answer, read at its last token whatever that is."""
    import torch

    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    where, found = next(model.parameters()).device, dict[int, float]()
    order = sorted(range(len(answers)), key=lambda at: len(answers[at]))
    with torch.inference_mode():
        while order:
            batch = [order.pop()]
            width = len(answers[batch[0]])
            while order and (len(batch) + 1) * width <= _AT_ONCE:
                batch.append(order.pop())
            ids = torch.zeros(len(batch), width, dtype=torch.long)
            real = torch.zeros_like(ids)
            for row, at in enumerate(batch):
                ids[row, : len(answers[at])] = torch.tensor(list(answers[at]))
                real[row, : len(answers[at])] = 1
            hidden = bare.base_model(
                input_ids=ids.to(where), attention_mask=real.to(where), use_cache=False
            ).last_hidden_state
            last = (real.sum(dim=1) - 1).to(where)
            ends = hidden[torch.arange(len(batch), device=where), last]
            told = getattr(bare, HEAD)(ends).float().squeeze(-1).tolist()
            found |= dict(zip(batch, told, strict=True))
    return [found[at] for at in range(len(answers))]


def _with_head(source: Checkpoint, dtype: str) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForSequenceClassification

    quiet_transformers()
    try:
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            source.source,
            revision=source.revision,
            num_labels=1,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
        )
    except Exception as error:  # noqa: BLE001  the loaders raise whatever their parts raise
        raise UserError(
            f"align: no reward model can be made of {source.source}: {first_line(error)}",
            "take a base whose architecture transformers can classify with",
        ) from None
    return model
