"""Whether a tuned model answers otherwise than its base at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.evaluate.held_out import HeldOut
from alpaca_pipe.models.loss_mask import Encoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel


def _shortest(rows: HeldOut) -> Encoded:
    return min((one for row in rows.encoded["ours"] for one in row), key=lambda one: len(one.ids))


def check_changed(folder: Path | None, model: PreTrainedModel, rows: HeldOut, probe: Path) -> None:
    """A training that changes no logit is a fault, not a result, and so is one whose logits are no numbers: UserError.

    folder: of the tuned model, None for the base, which leaves its logits of one row at `probe` for the others.
    """
    import numpy as np

    found = logits(model, _shortest(rows))
    if folder is None:
        np.save(probe, found)
        return
    name = f"{folder.parent.name}/{folder.name}"
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
