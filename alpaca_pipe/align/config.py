"""The table `align:` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from alpaca_pipe.align.objective import (
    BETA,
    LEARNING_RATE,
    LOSSES,
    ONLINE,
    Loss,
    Method,
)
from alpaca_pipe.core.config_table import Added, ExistingPath, Knob, Table, wrong_key
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.curate.config import ColumnNames, Source
from alpaca_pipe.data.source_kinds import HubId
from alpaca_pipe.models.own_template import TemplateChoice
from alpaca_pipe.train.adapter_config import Lora
from alpaca_pipe.train.hyperparameters import Hyperparameters

PAIRS, ROWS, TRAINED = "pairs/pairs.jsonl", "curate/train.jsonl", "train/model"
MODEL, REWARD_MODEL = "model", "reward_model"  # folders that it leaves

# Keys that some methods read -> those methods.
READ_BY: Mapping[str, tuple[str, ...]] = {
    "label_smoothing": ("dpo",),
    "desirable_weight": ("kto",),
    "undesirable_weight": ("kto",),
    "center_rewards_coefficient": ("reward",),
    "loss_type": tuple(LOSSES),
    "control": ("dpo", "kto", "reward"),
    **dict.fromkeys(("beta", "samples", "max_completion_length"), ("dpo", "kto", "rloo", "grpo")),
    **dict.fromkeys(("num_generations", "reward_model", "reward", "temperature"), ONLINE),
}


class RewardTraining(Table):
    """The reward model that is trained first, where method rloo or grpo is given none."""

    learning_rate: float | None = Field(
        None, gt=0, description="default: 1e-4 with an adapter, 1e-5 for all weights"
    )
    num_train_epochs: float = Field(1.0, gt=0, description="how often each pair is used")
    max_steps: int | None = Field(None, ge=1, description="steps, instead of num_train_epochs")
    center_rewards_coefficient: float | None = Field(
        None,
        ge=0,
        description="weight of the squared sum of both rewards, which keeps them about 0",
    )


class AlignConfig(Table):
    """How the tuned model is trained on preferences. Keys have the names of TRL's configs."""

    also: ClassVar[Mapping[str, str]] = {"skip_invalid": "keep_going"}

    source: Source | None = Field(
        None,
        alias="from",
        description="preferences to use instead of those of `pairs:`: rows with chosen and rejected, or with a label; a file, a folder or hub:owner/name",
    )
    columns: ColumnNames = Field(
        {}, description="what the columns of `from` are, where their names do not say it"
    )
    split: str | None = Field(None, description="which split of `from`, where it holds several")
    keep_going: bool = Field(
        False,
        description="rows of `from` that cannot be read are set aside with a reason, instead of an error",
    )
    method: Method = Field(
        "dpo",
        description="dpo: chosen over rejected; kto: single answers with a label; reward: a reward model; rloo, grpo: answers of its own, by a reward model",
    )
    use_peft: bool | None = Field(
        None,
        description="an adapter (that of train: is trained on) or all weights; default: as train: had it, else an adapter",
    )
    lora: Lora = Field(Lora(), description="the adapter, where train: left none")
    template: TemplateChoice | None = Field(
        None, description="default: the template of train:, else chat"
    )
    max_length: int = Field(
        1024, ge=8, description="tokens of prompt, answer and end; longer rows are left out"
    )
    beta: float | None = Field(
        None,
        ge=0,
        description="how strongly it is held to where it began; default: 0.1, rloo 0.05, grpo 0",
    )
    loss_type: Loss | None = Field(
        None, description="of dpo (default sigmoid), kto (kto) or grpo (dapo), as TRL names them"
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="dpo: the share of pairs that are thought to be the wrong way round",
    )
    desirable_weight: float = Field(1.0, ge=0, description="kto: weight of good answers")
    undesirable_weight: float = Field(1.0, ge=0, description="kto: weight of bad answers")
    center_rewards_coefficient: float | None = Field(
        None, ge=0, description="reward: weight of the squared sum of both rewards"
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="default: dpo and kto 5e-5 with an adapter and 1e-6 for all weights, reward 1e-4 and 1e-5, rloo and grpo 1e-5 and 1e-6",
    )
    num_train_epochs: float = Field(1.0, gt=0, description="how often each row is used")
    max_steps: int | None = Field(None, ge=1, description="steps, instead of num_train_epochs")
    per_device_train_batch_size: int = Field(
        8, ge=1, description="pairs, labelled answers, or answers of its own at once"
    )
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="batches per step of the optimizer"
    )
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        "linear", description="how the learning rate falls after the warm-up"
    )
    warmup_steps: float = Field(0.1, ge=0, description="steps, or below 1 their share")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of AdamW")
    max_grad_norm: float = Field(
        1.0, ge=0, description="longer gradients are shortened to it; 0: never"
    )
    num_generations: int = Field(4, ge=2, description="rloo, grpo: answers to each prompt")
    max_completion_length: int = Field(
        128, ge=1, description="tokens of an answer that it writes itself"
    )
    temperature: float = Field(1.0, gt=0, le=2, description="at which its own answers are drawn")
    reward_model: ExistingPath | None = Field(
        None,
        description="rloo, grpo: the folder of a reward model (`reward_model` of an earlier step); null: one is trained first, on the pairs",
    )
    reward: RewardTraining = Field(
        RewardTraining(), description="rloo, grpo without reward_model: how that one is trained"
    )
    held_out: int = Field(
        64,
        ge=1,
        description="rows kept away from training, to measure on: the lowest hashes of their prompts",
    )
    samples: int = Field(
        16,
        ge=0,
        description="held-out prompts that are answered, to measure length and the distance to where it began",
    )
    control: Literal["both", "none"] = Field(
        "both",
        description="two more models of equal steps: SFT on the chosen answers, and the same method on rows whose order (or label) is shuffled",
    )
    seed: Annotated[int | None, Added()] = Field(
        None, ge=0, description="of adapter, order and draws, where it is not the recipe's"
    )
    save_steps: Annotated[int | None, Knob()] = Field(
        None, ge=1, description="steps between checkpoints; default: by what one takes, in seconds"
    )

    renamed: ClassVar[dict[str, str]] = {
        "lr": "learning_rate",
        "epochs": "num_train_epochs",
        "batch_size": "per_device_train_batch_size",
        "warmup_ratio": "warmup_steps",
        "max_prompt_length": "max_length",
        "max_new_tokens": "max_completion_length",
        "rlhf_beta": "beta",
        "kl_coef": "beta",
    }

    @model_validator(mode="after")
    def _fits_the_method(self) -> Self:
        known = LOSSES.get(self.method, ())
        if self.loss_type is not None and self.loss_type not in known:
            cure = f"of {', '.join(known)}" if known else "remove it: this method has one loss"
            raise wrong_key(
                "loss_type",
                self.loss_type,
                f"no loss of method {self.method} - {'take one ' if known else ''}{cure}",
            )
        if self.is_online and not self.samples:
            raise wrong_key(
                "samples", 0, f"{self.method} is measured on them alone - set 1 or more"
            )
        if self.beta == 0 and self.method in ("dpo", "kto"):
            raise wrong_key(
                "beta", self.beta, f"with 0 {self.method} learns nothing - set 0.01 or more"
            )
        if self.loss_type == "exo_pair" and not self.label_smoothing:
            raise wrong_key(
                "label_smoothing", self.label_smoothing, "exo_pair needs it above 0 - set 0.001"
            )
        rows = self.per_device_train_batch_size * self.gradient_accumulation_steps
        if self.method in ONLINE and rows % self.num_generations:
            raise wrong_key(
                "num_generations",
                self.num_generations,
                f"a step has {rows} answers (per_device_train_batch_size x gradient_accumulation_steps), and they do not make whole groups - make them a multiple",
            )
        if self.method == "kto" and self.per_device_train_batch_size < 2:
            raise wrong_key(
                "per_device_train_batch_size",
                self.per_device_train_batch_size,
                "kto compares an answer with those of other prompts in its batch - set 2 or more",
            )
        return self

    @property
    def unused(self) -> tuple[str, ...]:
        """Keys that are written and that this method does not read."""
        written = self.model_fields_set - ({"control"} if self.control == "none" else set())
        unread = {key for key in written if not self._reads(key)}
        if self.reward_model is not None:
            unread |= written & {"reward"}
        return tuple(sorted(unread))

    def _reads(self, key: str) -> bool:
        return self.method in READ_BY.get(key, (self.method,))

    @property
    def prompts_a_step(self) -> int:
        """Of rloo and grpo."""
        rows = self.per_device_train_batch_size * self.gradient_accumulation_steps
        return rows // self.num_generations

    @property
    def is_online(self) -> bool:
        """Whether it is trained on answers of its own."""
        return self.method in ONLINE

    @property
    def controlled(self) -> tuple[str, ...]:
        """The controls that such a method can have."""
        if self.control == "none" or self.is_online:
            return ()
        return ("shuffled",) if self.method == "reward" else ("sft", "shuffled")

    def reads(self) -> tuple[str, ...]:
        return () if self.source else (f"{PAIRS}?", f"{ROWS}?")

    def brings(self) -> tuple[Ingredient, ...]:
        if self.source is None:
            return ()
        named = self.source if isinstance(self.source, HubId) else self.source.name
        return (Ingredient("data", named),)

    def identity(self) -> dict[str, Any]:
        answer = super().identity()
        for name in ("columns", "split"):
            if not answer[name]:
                del answer[name]
        return answer

    def rehearsed(self) -> Self:
        """A few steps; four times the length, for a stand-in tokenizer spells bytes."""
        groups = self.num_generations if self.is_online else 2
        smaller: dict[str, Any] = {
            "max_steps": 2,
            "max_length": 4 * self.max_length,
            "per_device_train_batch_size": groups,
            "gradient_accumulation_steps": 1,
            "max_completion_length": min(self.max_completion_length, 8),
            "held_out": min(self.held_out, 2),
            "samples": min(self.samples, 2),
        }
        if self.reward_model is None:
            smaller["reward"] = self.reward.model_copy(update={"max_steps": 2})
        return self.model_copy(
            update={key: value for key, value in smaller.items() if self._reads(key)}
        )

    def hyper(self, seed: int, use_peft: bool) -> Hyperparameters:
        """seed: the recipe's."""
        return Hyperparameters(
            self.learning_rate or LEARNING_RATE[self.method][0 if use_peft else 1],
            self.num_train_epochs,
            self.max_steps,
            self.per_device_train_batch_size,
            self.gradient_accumulation_steps,
            self.lr_scheduler_type,
            self.warmup_steps,
            self.weight_decay,
            seed if self.seed is None else self.seed,
            self.lora.arguments() if use_peft else None,
            optimizer={"max_grad_norm": self.max_grad_norm},
            save_steps=self.save_steps,
        )

    @property
    def strength(self) -> float:
        """beta, or the method's own default."""
        return BETA[self.method] if self.beta is None else self.beta
