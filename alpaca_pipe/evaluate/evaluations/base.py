"""What an evaluation is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.evaluate.config import EvaluateConfig
from alpaca_pipe.evaluate.foreign_rows import ForeignRows
from alpaca_pipe.evaluate.held_out import HeldOut
from alpaca_pipe.evaluate.judge.judge_set import JudgeSet
from alpaca_pipe.models.loss_mask import Encoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Contestant:
    """A model of the comparison. prompts: under which names it is scored, each with the prompt that its rows are encoded
    with ("ours", "chat"). read: the prompt of answers that are to be read; "" where none are."""

    folder: Path | None  # None: the base as it is
    prompts: Mapping[str, str]
    read: str = ""


@dataclass(frozen=True)
class ForeignSet:
    """Rows of others, as found in their file and as every contestant sees them."""

    found: ForeignRows
    rows: HeldOut


@dataclass(frozen=True)
class EvaluationInputs:
    """All that every model is asked about. missing: contestant -> why it is none. longest: tokens of prompt and answer that
    every model has places for. foreign: None where no file is named. to_judge: None where there is no judge."""

    rows: HeldOut
    encoders: Mapping[str, Encoder]
    config: EvaluateConfig
    seed: int
    missing: Mapping[str, str]
    longest: int
    foreign: ForeignSet | None = None
    to_judge: JudgeSet | None = None


@dataclass(frozen=True)
class LoadedModel:
    """In eval mode. at: is told how many units of this evaluation's work are done, and what is done now."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    contestant: Contestant
    at: Callable[[int, str], None]


@dataclass(frozen=True)
class Evaluation:
    """name: of its part of what is kept of each model, so that an interrupted run goes on. work: units that `ask` does on a
    model. ask: plain JSON of one model. conclude: from each model's, by its name; writes files into the folder and answers
    its part of the summary: under a key of its own, in which `compared` holds Lines (changes.py), where there are any: run.py makes rows of all of them together. order: of asking and concluding."""

    name: str
    order: int
    work: Callable[[Contestant, EvaluationInputs], int]
    ask: Callable[[LoadedModel, EvaluationInputs], Any]
    conclude: Callable[[Mapping[str, Any], EvaluationInputs, Path], dict[str, Any]]
