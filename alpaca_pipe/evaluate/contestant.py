"""One loaded model and all that is asked of it: held-out losses, and a few answers to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.evaluate.held_out import HeldOut
from alpaca_pipe.evaluate.samples import SampleAnswer, answers
from alpaca_pipe.models.loading import load_for_scoring
from alpaca_pipe.models.loss_mask import Encoded, Encoder
from alpaca_pipe.models.scoring import response_losses
from alpaca_pipe.weights.base import Checkpoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Contestant:
    """What one model is asked. scored: contestant -> name of the prompt that its rows are encoded with."""

    folder: Path | None  # None: the base as it is
    scored: Mapping[str, str]
    samples: int = 0  # of the first rows, answered greedily
    asked: str = ""  # the prompt of these

    def work(self, rows: int) -> int:
        return len(self.scored) * rows + self.samples


def hold(
    sitting: Contestant,
    checkpoint: Checkpoint,
    rows: HeldOut,
    encoders: Mapping[str, Encoder],
    probe: Path,
    max_new_tokens: int,
    batch_tokens: int,
    at: Callable[[int, str], None],
) -> dict[str, Any]:
    """{"losses": {contestant: [[nats, tokens] a row]}, "answers": [[text, ended] a sample]}.

    probe: the base leaves its logits of one row there, and every other model must differ from them: UserError where
    training changed nothing or diverged. at: is told how much of `sitting.work` is done.
    """
    model, tokenizer = load_for_scoring(checkpoint, sitting.folder)
    _check_changed(sitting, model, _shortest(rows), probe)
    losses: dict[str, Any] = {}
    for name, prompt in sitting.scored.items():
        before = len(losses) * len(rows.examples)

        def scored(count: int, before: int = before, name: str = name) -> None:
            at(before + count, name)

        losses[name] = response_losses(model, rows.encoded[prompt], batch_tokens, scored)
    said: list[SampleAnswer] = []
    if sitting.samples:
        asked = encoders[sitting.asked]
        prompts = asked.prompts(rows.examples[: sitting.samples])
        found = answers(model, tokenizer, prompts, max_new_tokens, asked.form.end_id)
        said = [one._replace(text=asked.form.bare(one.text)) for one in found]
        at(sitting.work(len(rows.examples)), "answers to read")
    return {"losses": losses, "answers": said}


def _shortest(rows: HeldOut) -> Encoded:
    return min((one for row in rows.encoded["ours"] for one in row), key=lambda one: len(one.ids))


def _check_changed(sitting: Contestant, model: PreTrainedModel, row: Encoded, probe: Path) -> None:
    """A training that changes no logit is a fault, not a result, and so is one whose logits are no numbers."""
    import numpy as np

    found = logits(model, row)
    if sitting.folder is None:
        np.save(probe, found)
        return
    name = f"{sitting.folder.parent.name}/{sitting.folder.name}"
    if not np.isfinite(found).all():
        raise UserError(
            f"the model in {name} gives logits that are not numbers on a held-out row: the training diverged",
            "lower train.learning_rate and train again",
        )
    if not np.abs(found - np.load(probe)).max() > 0:
        raise UserError(
            f"the model in {name} gives exactly the base's logits "
            "on a held-out row: nothing was learned, or an empty adapter was saved",
            "look at the loss curve of train and at train.learning_rate, then train again",
        )


def logits(model: PreTrainedModel, row: Encoded) -> NDArray[np.float32]:
    """The fp32 logits of one row, positions x vocabulary."""
    import torch

    with torch.inference_mode():
        found = model(input_ids=torch.tensor([row.ids], device=model.device)).logits[0]
    answer: NDArray[np.float32] = found.float().cpu().numpy()
    return answer
