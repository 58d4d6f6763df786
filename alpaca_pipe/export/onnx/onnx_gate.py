"""The gate: an ONNX file keeps its name only when ONNX Runtime, with that file, is the model that was trained.

ONNX Runtime answers greedily, and the checkpoint reads that answer once: where its own first choice is another token, they differ.
What a browser makes of the tokenizer is asked in the browser: the page compares the ids of the same prompts before it answers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alpaca_pipe.core.errors import UserError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ANSWERS, TOKENS = 10, 64
_TIE = 1e-3  # of logits: both compute in fp32 and add in another order
_APART = 0.01  # of logits: what the other order may make of the whole


class OnnxFigures(NamedTuple):
    """What was compared. differing: positions of greedy answers where the checkpoint's first choice is another token, ties of
    less than 0.001 left out. largest: difference of a logit at these positions."""

    answers: int
    positions: int
    differing: int
    ties: int
    largest: float
    limit: float

    def sentence(self) -> str:
        alike = 1 - self.differing / max(self.positions, 1)
        return (
            f"{alike:.1%} of {self.positions} greedy tokens, logits within {self.largest:.1e} of the trained model's "
            f"(limit {self.limit:g})"
        )


def onnx_gate(
    file: Path, model: PreTrainedModel, prompts: Sequence[Sequence[int]], stops: Collection[int]
) -> OnnxFigures:
    """Raises UserError, in a sentence, for the first thing in which the file is not the model.

    model: the checkpoint in fp32.  prompts: their ids; the first ANSWERS are answered, up to one of `stops` or TOKENS.
    """
    import torch

    session = _session(file)
    positions = differing = ties = 0
    largest = 0.0
    for prompt in prompts[:ANSWERS]:
        answer, theirs = _answered(session, prompt, stops)
        ids = torch.tensor([[*prompt, *answer]])
        with torch.inference_mode():
            ours = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
        apart = float((ours - torch.stack(theirs)).abs().max())
        largest = math.inf if math.isnan(apart) else max(largest, apart)
        for place, token in enumerate(answer):
            gap = float(ours[place].max() - ours[place][token])
            differing += not gap <= _TIE
            ties += 0 < gap <= _TIE
        positions += len(answer)
    figures = OnnxFigures(
        min(len(prompts), ANSWERS), positions, differing, ties, round(largest, 7), _APART
    )
    _check(file, figures)
    return figures


def _check(file: Path, figures: OnnxFigures) -> None:
    what = ""
    if figures.differing:
        what = f"at {figures.differing} of {figures.positions} positions of greedy answers the trained model says another token"
    elif not figures.largest <= _APART:
        what = f"its logits are {figures.largest:.2g} from the trained model's, at most {_APART:g} is rounding"
    if what:
        raise UserError(
            f"{file.name} is not the model that was trained: {what}",
            "remove export.onnx, use merged/, and report this with the name of the base",
        )


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  its exceptions have no class in common
        raise UserError(
            f"ONNX Runtime does not load {file.name}: {first_line(error)}",
            "remove export.onnx, use merged/, and report this with the name of the base",
        ) from None


def _answered(
    session: Any, prompt: Sequence[int], stops: Collection[int]
) -> tuple[list[int], list[Any]]:
    """The greedy tokens, the one that ends among them, and the logits that each was chosen from."""
    import numpy as np
    import torch

    names = [value.name for value in session.get_outputs()]
    past = {
        value.name: np.zeros(
            [0 if isinstance(size, str) else size for size in value.shape], np.float32
        )
        for value in session.get_inputs()
        if value.name.startswith("past_key_values.")
    }
    ids, place = np.array([list(prompt)]), 0
    answer: list[int] = []
    logits: list[Any] = []
    while len(answer) < TOKENS:
        positions = np.arange(place, place + ids.shape[1])[None]
        found = session.run(None, {"input_ids": ids, "position_ids": positions, **past})
        said = dict(zip(names, found, strict=True))
        last = said.pop("logits")[0, -1]
        past = {name.replace("present", "past_key_values"): value for name, value in said.items()}
        place += ids.shape[1]
        answer.append(int(last.argmax()))
        logits.append(torch.from_numpy(last))
        if answer[-1] in stops:
            break
        ids = np.array([[answer[-1]]])
    return answer, logits
