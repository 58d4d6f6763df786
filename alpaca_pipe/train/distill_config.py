"""The table `distill:` inside `train:`: whose probabilities are learned beside the rows' own tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.models.architecture import files_here
from alpaca_pipe.models.run_as_base import RecipeBase, model_in_recipe, plain_model
from alpaca_pipe.weights.base import NEW

if TYPE_CHECKING:
    from alpaca_pipe.train.config import TrainConfig
    from alpaca_pipe.weights.base import BaseTable


def _teacher(value: Any, info: ValidationInfo) -> Any:
    """As base.model, but for a model that is still to be made."""
    if value is None:
        return None
    if value == NEW:
        raise ValueError(
            "a model that is drawn at random teaches nothing - name one that was trained"
        )
    return model_in_recipe(value, info)


class Distill(Table):
    """Of objective distill: the loss of a place is alpha T^2 KL(teacher || student at temperature T) + (1 - alpha) times the plain one."""

    teacher: Annotated[
        str | Path | None,
        PlainValidator(_teacher, json_schema_input_type=str | None),
        PlainSerializer(lambda value: value and plain_model(value), return_type=str | None),
        Field(
            description="a checkpoint with the base's vocabulary, named as base.model is; default: the base itself, which the tune then stays near"
        ),
    ] = None
    revision: str = Field("main", description="of a teacher on the hub: branch, tag or commit")
    top_k: int = Field(
        64,
        ge=1,
        description="likeliest tokens of each learned place that are stored; all others count as one",
    )
    temperature: float = Field(
        1.0, gt=0, le=100, description="both models' logits are divided by it (arXiv:1503.02531)"
    )
    alpha: float = Field(
        0.5, gt=0, le=1, description="share of the teacher's loss; the rest is the plain loss"
    )

    def checkpoint(self, dtype: Any = "float32") -> RecipeBase | None:
        """The teacher as a table of its own; None is the base itself."""
        if self.teacher is None:
            return None
        return RecipeBase(model=self.teacher, revision=self.revision, dtype=dtype)

    def identity(self) -> dict[str, Any]:
        teacher = self.checkpoint()
        said = super().identity() | {"teacher": teacher and teacher.identity()}
        return {name: value for name, value in said.items() if name != "revision"}

    def brings(self) -> tuple[Ingredient, ...]:
        """A teacher's terms bind what learned its probabilities."""
        teacher = self.checkpoint()
        brought = teacher.brings() if teacher else ()
        return tuple(Ingredient("teacher", one.name, one.said) for one in brought)

    def rehearsed(self) -> Self:
        """The stand-in base is its own teacher: another tokenizer may not be here."""
        return self.model_copy(update={"teacher": None, "top_k": min(self.top_k, 8)})


def refused(config: TrainConfig) -> tuple[str, str] | None:
    """The key of train: that cannot be there with its objective, and why and what to do."""
    if config.objective != "distill":
        wrong = {
            "distill": config.distill != Distill()
            and f"nothing of it is read with objective {config.objective} - set objective: distill, or remove it",
            "control": config.control == "sft"
            and "no teacher is left out by it, there is none - set control: shuffled or none",
        }
    else:
        wrong = {
            "loss": config.loss != "nll"
            and "with objective distill: only nll is mixed in - set loss: nll",
            "prompt_loss_weight": config.prompt_loss_weight > 0
            and "with objective distill: a teacher is asked about answers only - leave it out",
        }
    return next(((key, said) for key, said in wrong.items() if said), None)


def check_teacher_files(base: BaseTable, distill: Distill) -> None:
    """What the tokenizers' files show without torch, where both lie on this machine. UserError for other vocabularies."""
    teacher = distill.checkpoint()
    if teacher is None:
        return
    from alpaca_pipe.models.tokenizer_table import tokens_of

    folders = [files_here(one) for one in (base, teacher)]
    ours, theirs = (tokens_of(folder) if folder else None for folder in folders)
    if ours is not None and theirs is not None:
        check_vocabularies(ours, theirs, teacher.called)


def check_vocabularies(ours: dict[str, int], theirs: dict[str, int], called: str) -> None:
    """UserError unless each token has one id in both."""
    if ours == theirs:
        return
    other = sorted(
        token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token)
    )
    raise UserError(
        f"train.distill.teacher: {called} has another vocabulary than the base: {len(other):,} tokens differ "
        f"({', '.join(map(repr, other[:3]))}), and probabilities belong to tokens",
        "use a teacher of the base's own family, or its answers as rows (generate) instead of its probabilities",
    )
