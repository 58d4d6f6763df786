"""From base + adapter to one checkpoint, and the proof that it answers alike."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.export.other_readers import write_for_others
from alpaca_pipe.models.decoding import ends
from alpaca_pipe.models.loading import (
    is_adapter,
    load_base_of,
    load_model,
    load_tokenizer,
    put_adapter,
)
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.models.saved_template import save_template, saved_encoder
from alpaca_pipe.weights.base import Checkpoint

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

# As in peft's own merge tests, for fp32: atol = rtol = 1e-4 (tests/testing_common.py, _test_merge_layers). Taken
# relative to the largest logit, for in 30 layers errors of large logits reach small ones. Measured on SmolLM2-135M
# with LoRA r16 on all layers: 6.8e-5 where 3.8e-3 is allowed (2026-11).
_TOLERANCE = 1e-4

_POSITIONS = 64  # of a row's answer: 64 x 128,000 logits are 33 MB


class Agreement(NamedTuple):
    """The saved model, reloaded, against what was trained, over `positions` answer positions of the rows checked.

    max_difference, limit: of logits, by merging and saving in fp32 arithmetic; a larger difference fails the stage.
    rounding: the largest further difference made by rounding the weights to `dtype`; 0 for float32.
    effect: the largest difference that training made (adapters only): what the others are to be compared with.
    top1: share of positions where trained and reloaded model have the same most probable token.
    """

    rows: int
    positions: int
    max_difference: float
    limit: float
    rounding: float
    effect: float | None
    top1: float


def merge(
    checkpoint: Checkpoint,
    trained: Path,
    folder: Path,
    dtype: str,
    rows: Sequence[Encoded],
    say: Callable[[str], None],
) -> Agreement:
    """Writes model, tokenizer and template.json into `folder`, reloads them and compares. All in fp32 on the CPU.

    A full model is saved again the same way. Raises UserError where the reloaded model answers otherwise, or where
    an adapter changes nothing.
    """
    import torch

    model, effect = _trained(checkpoint, trained, rows)
    wanted = _logits(model, rows)
    model = _merged(model, trained)
    merged = _logits(model, rows)
    _cast(model, getattr(torch, dtype))
    save(model, trained, folder)
    say(f"merged in fp32, saved as {dtype}")
    _cast(model, torch.float32)
    rounded = _logits(model, rows)
    del model
    gc.collect()  # before the second copy is loaded
    found = _logits(load_model(Checkpoint(str(folder)), "float32"), rows)
    difference = max(_apart(wanted, merged), _apart(rounded, found))
    agreement = Agreement(
        rows=len(rows),
        positions=sum(len(row) for row in wanted),
        max_difference=difference,
        limit=_TOLERANCE * (1 + max(float(row.abs().max()) for row in wanted)),
        rounding=_apart(merged, rounded),
        effect=effect,
        top1=float(
            torch.cat([a.argmax(-1) == b.argmax(-1) for a, b in zip(wanted, found, strict=True)])
            .float()
            .mean()
        ),
    )
    check(agreement, folder)
    return agreement


def check(agreement: Agreement, folder: Path) -> None:
    """UserError beyond the limit, NaN included."""
    if not agreement.max_difference <= agreement.limit:
        raise UserError(
            f"the merged model in {folder.name}/, reloaded, answers differently from base + adapter: logits "
            f"differ by {agreement.max_difference:.2g}, at most {agreement.limit:.2g} is rounding",
            "run again; if it comes back, check the disk, and report it with the versions of peft and "
            "transformers",
        )


def save(model: PreTrainedModel, trained: Path, folder: Path) -> None:
    """The checkpoint with the tokenizer it was trained with; it stops at the token that it learned to end with, and at those
    that ended the base's answers."""
    from transformers import GenerationConfig

    tokenizer = load_tokenizer(Checkpoint(str(trained)))
    stops = ends(model, tokenizer)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=stops if len(stops) > 1 else stops[0],
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    save_template(folder, saved_encoder(tokenizer, trained))
    write_for_others(folder)


def _trained(
    checkpoint: Checkpoint, trained: Path, rows: Sequence[Encoded]
) -> tuple[Any, float | None]:
    """The model as training left it, and for an adapter the largest difference that it makes."""
    if not is_adapter(trained):
        return load_model(Checkpoint(str(trained)), "float32").eval(), None
    base = load_base_of(checkpoint, trained, "float32").to("cpu").eval()
    before = _logits(base, rows)
    model = put_adapter(base, trained).eval()
    effect = _apart(before, _logits(model, rows))
    if effect == 0:
        raise UserError(
            f"the adapter in {trained} changes nothing: with it the base answers as without it",
            "nothing was learned: look at the loss curve and train.learning_rate, and train again",
        )
    return model, effect


def _merged(model: Any, trained: Path) -> PreTrainedModel:
    if not is_adapter(trained):
        whole: PreTrainedModel = model
        return whole
    try:
        whole = model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # safe_merge found NaN
        raise UserError(
            f"the adapter cannot be merged: {error}",
            "the training diverged: look at its loss curve, lower train.learning_rate",
        ) from None
    return whole


def _cast(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """The weights only: `model.to` would round the rotary frequencies too, which no checkpoint holds."""
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)


def _logits(model: PreTrainedModel, rows: Sequence[Encoded]) -> list[torch.Tensor]:
    """Per row, the logits that predict its answer: positions x vocabulary, at most the first 64 positions."""
    import torch

    answer = []
    with torch.inference_mode():
        for row in rows:
            places = [place - 1 for place, learned in enumerate(row.mask) if learned][:_POSITIONS]
            answer.append(model(input_ids=torch.tensor([row.ids])).logits[0, places].float())
    return answer


def _apart(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))
