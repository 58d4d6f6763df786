"""The table `train:` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from alpaca_pipe.core.config_table import Added, Exact, ExistingPath, Knob, Table, wrong_key
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.models.architecture import files_here
from alpaca_pipe.models.own_template import TemplateChoice
from alpaca_pipe.train.absent_keys import ABSENT
from alpaca_pipe.train.adapter_config import Lora
from alpaca_pipe.train.distill_config import Distill, check_teacher_files, refused
from alpaca_pipe.train.hosted_config import HostedTuning
from alpaca_pipe.train.hyperparameters import (
    LEARNING_RATE,
    PRETRAINING_RATE,
    Hyperparameters,
    Kernels,
    Objective,
)
from alpaca_pipe.train.resume import Start
from alpaca_pipe.weights.base import BESIDE, BaseTable, Growth
from alpaca_pipe.weights.folder_digest import tuned_digest

if TYPE_CHECKING:
    from alpaca_pipe.models.base_check import Asked

ROWS, HELD_OUT = "curate/train.jsonl", "curate/held_out.jsonl"
CHOSEN_ON = "chosen_on.jsonl"  # ids of the held-out rows that chose the checkpoint
# Keys that mean nothing without evaluation on the way.
OF_EVALUATION = {"eval_steps", "eval_every_usd", "max_eval_samples", "early_stopping_threshold"}
# Keys that mean nothing for plain texts, and why; unless they say what is not.
OF_ANSWERS = {
    "template": "a template writes what is asked and answered",
    "control": "a control exchanges answers",
    "prompt_loss_weight": "a prompt is what stands before an answer",
    "row_weights": "a grade is of an answer",
    "hosted": "a provider tunes on conversations",
    "source": "what another tool tuned is judged by its answers",
}
_NOTHING = {"control": "none", "prompt_loss_weight": 0.0, "row_weights": "none", "hosted": None}
FOLDERS = {"tuned": "model", "control": "control", "sft": "sft"} | {
    growth: f"beside/{growth}" for growth in get_args(Growth)
}


Tracker = Literal["none", "tensorboard", "trackio", "wandb"]

# Those of transformers that need no further arguments; which package each wants beside torch.
Optimizer = Literal[
    "adamw_torch_fused",
    "adamw_torch",
    "adafactor",
    "sgd",
    "adamw_torch_8bit",
    "adamw_torch_4bit",
    "adamw_bnb_8bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "ademamix",
    "lion_32bit",
    "lion_8bit",
]


def told_deepspeed(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    from alpaca_pipe.train.deepspeed_config import read_deepspeed

    return read_deepspeed(file)


class TrainConfig(Table):
    """How the model is tuned. Keys have the names of TrainingArguments in transformers 5."""

    also: ClassVar[Mapping[str, str]] = {"loss_type": "loss"}
    absent: ClassVar[Mapping[str, str]] = ABSENT

    source: Annotated[ExistingPath | None, Added()] = Field(
        None,
        alias="from",
        description="a model that another tool tuned on these rows: the folder of an adapter or of a whole model. It is taken as it is, and nothing is trained",
    )
    distill: Annotated[Distill, Added()] = Field(
        Distill(), description="objective distill: the teacher, and what is learned of it"
    )
    method: Literal["lora", "qlora", "full"] = Field(
        "lora",
        description="an adapter beside frozen weights (qlora: linear layers of the base in 4 bits, nf4), or all weights",
    )
    objective: Annotated[Literal["sft", "distill", "pretrain"], Added()] = Field(
        "sft",
        description="sft: the answers of the curated rows; distill: a teacher's probabilities of their tokens beside them; pretrain: every token of the plain texts of `texts:`, packed into sequences of max_length",
    )
    template: TemplateChoice = Field(
        "alpaca",
        description="the text around what is said: see the templates; or a Jinja file of your own, mine.jinja",
    )
    max_length: int = Field(
        512, ge=8, description="tokens of prompt, answer and EOS; longer rows are dropped"
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="default: 2e-4 for lora and qlora, 2e-5 for full, 3e-4 for full with objective pretrain",
    )
    num_train_epochs: float = Field(3.0, gt=0, description="how often each row is used")
    max_steps: int | None = Field(None, ge=1, description="steps, instead of num_train_epochs")
    per_device_train_batch_size: int = Field(8, ge=1, description="rows at once")
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="batches per step of the optimizer"
    )
    processes: Annotated[int, Added()] = Field(
        1,
        ge=1,
        le=128,
        description="processes that train together, a GPU each; a step has so many times the rows",
    )
    fsdp: Annotated[bool, Added()] = Field(
        False,
        description="FSDP2: each process holds a part of weights, gradients and optimizer; losses are the same",
    )
    deepspeed: Annotated[ExistingPath | None, Added()] = Field(
        None,
        description="a DeepSpeed file of your own, ZeRO stage 1, 2 or 3 (extra 'deepspeed'): batches, clipping, bf16 in it are \"auto\"",
    )
    save_steps: Annotated[int | None, Knob()] = Field(
        None, ge=1, description="steps between checkpoints; default: by what one takes, in seconds"
    )
    save_total_limit: Annotated[int, Knob()] = Field(
        1, ge=1, description="checkpoints that are kept while it runs, the last ones"
    )
    resume_from_checkpoint: Annotated[Start, Knob()] = Field(
        True,
        description="where an interrupted tune continues: at its last checkpoint, at one that is still kept (checkpoint-300), at a folder of the same step kept elsewhere, or (false) at the beginning",
    )
    eval_strategy: Annotated[Literal["no", "steps", "epoch", "usd"], Added()] = Field(
        "no",
        description="when held-out rows are scored on the way, and at the last step: by steps, epochs, or dollars of the machine",
    )
    eval_steps: Annotated[float, Added()] = Field(
        0.1, gt=0, description="for steps: so many, or below 1 a share of all"
    )
    eval_every_usd: Annotated[Exact | None, Added()] = Field(
        None, gt=0, description="for usd: dollars of machine time between two evaluations"
    )
    max_eval_samples: Annotated[int, Added()] = Field(
        64,
        ge=1,
        description="held-out rows that are scored on the way, at most; where they choose the checkpoint, at most half of all",
    )
    load_best_model_at_end: Annotated[bool | None, Added()] = Field(
        None,
        description="the weights of the lowest held-out loss are kept, not the last ones; default: where early_stopping_patience is set",
    )
    early_stopping_patience: Annotated[int | None, Added()] = Field(
        None, ge=1, description="evaluations without a gain after which the tune ends"
    )
    early_stopping_threshold: Annotated[float, Added()] = Field(
        0.0, ge=0, description="nats a token that a gain must be larger than"
    )
    report_to: Annotated[Tracker | tuple[Tracker, ...], Knob()] = Field(
        "none",
        description="where losses and speed go beside loss.jsonl: tensorboard, trackio, wandb (offline), or a list of them; each is an extra",
    )
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        "cosine", description="how the learning rate falls after the warm-up"
    )
    warmup_steps: float = Field(0.03, ge=0, description="steps, or below 1 their share")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of AdamW")
    optim: Annotated[Optimizer, Added()] = Field(
        "adamw_torch_fused",
        description="transformers' optimizers; *_bnb_*, paged_*, lion_*, ademamix need bitsandbytes, adamw_torch_8bit and _4bit torchao",
    )
    adam_beta1: Annotated[float, Added()] = Field(0.9, ge=0, lt=1, description="AdamW's")
    adam_beta2: Annotated[float, Added()] = Field(0.999, ge=0, lt=1, description="AdamW's")
    adam_epsilon: Annotated[float, Added()] = Field(1e-8, gt=0, description="AdamW's")
    max_grad_norm: Annotated[float, Added()] = Field(
        1.0, ge=0, description="longer gradients are shortened to it; 0: never"
    )
    loss: Annotated[Literal["nll", "dft"], Added()] = Field(
        "nll",
        description="dft: each token's loss times its own probability, which is held fixed (arXiv:2508.05629)",
    )
    prompt_loss_weight: Annotated[float, Added()] = Field(
        0.0,
        ge=0,
        le=1,
        description="weight of a prompt's tokens; 0.01 to 0.1 helps short answers (arXiv:2401.13586)",
    )
    row_weights: Annotated[Literal["none", "grade"], Added()] = Field(
        "none", description="grade: a row weighs by what the judge of curate gave it"
    )
    neftune_noise_alpha: Annotated[float | None, Added()] = Field(
        None, gt=0, description="noise on the embeddings while training, 5 in arXiv:2310.05914"
    )
    gradient_checkpointing: Annotated[Literal["auto"] | bool, Knob()] = Field(
        "auto",
        description="activations are computed again in the backward pass: slower, less memory; auto: where they would not fit",
    )
    use_liger_kernel: Annotated[bool, Added()] = Field(
        False,
        description="on a GPU: norms, rotary positions and feed-forwards by Liger's kernels (extra 'kernels')",
    )
    torch_compile: Annotated[bool, Added()] = Field(
        False, description="on a GPU: norms and feed-forwards compiled; the first steps are slow"
    )
    tf32: Annotated[bool | None, Added()] = Field(
        None,
        description="on a GPU: fp32 products with 10 bits of mantissa; default: as torch has it",
    )
    fp8: Annotated[bool, Added()] = Field(
        False,
        description="on a GPU: products of linear layers in fp8, a scale a row (extra 'kernels'): coarser, needs torch_compile to be fast",
    )
    lora: Lora = Field(Lora(), description="methods lora and qlora: the adapter")
    seed: Annotated[int | None, Added()] = Field(
        None,
        ge=0,
        description="of adapter, order of rows and dropout, where it is not the recipe's: another tune of the same rows",
    )
    hosted: Annotated[HostedTuning | None, Added()] = Field(
        None,
        description="a provider that tunes in our place, together or fireworks; the weights stay there",
    )
    control: Literal["shuffled", "sft", "none"] = Field(
        "shuffled",
        description="a second tune with the answers exchanged among the instructions: it shows what the form alone teaches; sft, "
        "the default of objective distill: the same rows and steps without the teacher",
    )

    renamed: ClassVar[dict[str, str]] = {
        "warmup_ratio": "warmup_steps",
        "epochs": "num_train_epochs",
        "num_epochs": "num_train_epochs",
        "lr": "learning_rate",
        "batch_size": "per_device_train_batch_size",
        "micro_batch_size": "per_device_train_batch_size",
        "gradient_accumulation": "gradient_accumulation_steps",
        "max_seq_length": "max_length",
        "model_max_length": "max_length",
        "cutoff_len": "max_length",
        "scheduler": "lr_scheduler_type",
        "lr_scheduler": "lr_scheduler_type",
        "lora_r": "lora.r",
        "lora_alpha": "lora.alpha",
        "lora_dropout": "lora.dropout",
        "lora_target_modules": "lora.target_modules",
        "target_modules": "lora.target_modules",
        "activation_checkpointing": "gradient_checkpointing",
        "lora_use_dora": "lora.use_dora",
        "lora_modules_to_save": "lora.modules_to_save",
        "neftune_alpha": "neftune_noise_alpha",
        "optimizer": "optim",
        "num_processes": "processes",
        "nproc_per_node": "processes",
        "evaluation_strategy": "eval_strategy",
    }

    @model_validator(mode="after")
    def _texts_have_no_answers(self) -> Self:
        if self.objective != "pretrain":
            return self
        for name, why in OF_ANSWERS.items():
            if name in self.model_fields_set and getattr(self, name) != _NOTHING.get(name):
                sentence = f"{why}, and objective pretrain reads plain texts - leave it out"
                raise wrong_key(name, getattr(self, name), sentence)
        return self

    @model_validator(mode="after")
    def _evaluated_as_asked(self) -> Self:
        """As transformers has it: a best checkpoint needs an evaluation that chooses it."""
        if self.eval_strategy == "usd" and self.eval_every_usd is None:
            sentence = "eval_strategy: usd does not say how many dollars - add eval_every_usd: 0.25"
            raise wrong_key("eval_strategy", self.eval_strategy, sentence)
        if self.eval_steps > 1 and self.eval_steps != int(self.eval_steps):
            sentence = "above 1 it is a number of steps - write a whole one"
            raise wrong_key("eval_steps", self.eval_steps, sentence)
        waits = self.early_stopping_patience is not None
        if self.eval_strategy == "no" and (self.keeps_best or waits):
            name = "early_stopping_patience" if waits else "load_best_model_at_end"
            sentence = "nothing is evaluated on the way - add eval_strategy: steps, epoch or usd"
            raise wrong_key(name, getattr(self, name), sentence)
        return self

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        """See distill_config.py and split_check.py."""
        found = refused(self)
        if self.fsdp or self.deepspeed:
            from alpaca_pipe.train.split_check import not_beside

            found = found or not_beside(self)
        if found:
            raise wrong_key(found[0], getattr(self, found[0]), found[1])
        return self

    @property
    def split(self) -> str:
        """How the processes hold the weights: whole ("") or in parts (models/fit.PARTS)."""
        if self.deepspeed:
            from alpaca_pipe.train.deepspeed_config import read_deepspeed, zero_stage

            return f"zero-{zero_stage(read_deepspeed(self.deepspeed))}"
        return "fsdp" if self.fsdp else ""

    @model_validator(mode="after")
    def _tuned_once(self) -> Self:
        """What was tuned elsewhere is neither tuned here nor by a provider, and it has no control."""
        if self.source and self.hosted:
            sentence = (
                "the model is there already, and hosted asks for another - remove one of them"
            )
            raise wrong_key("from", str(self.source), sentence)
        if self.source and self.control != "none":
            sentence = (
                "a control is another tune by the same tool, and there is none - set control: none"
            )
            raise wrong_key("control", self.control, sentence)
        return self

    @property
    def keeps_best(self) -> bool:
        """Whether the checkpoint is chosen by the rows that are scored on the way."""
        patient = self.early_stopping_patience is not None
        return patient if self.load_best_model_at_end is None else self.load_best_model_at_end

    @property
    def usual_rate(self) -> float:
        """Where the recipe says none."""
        texts = self.objective == "pretrain" and self.method == "full"
        return PRETRAINING_RATE if texts else LEARNING_RATE[self.method]

    @property
    def shuffles(self) -> bool:
        """Whether a control is tuned on exchanged answers; plain texts have none."""
        return self.control == "shuffled" and self.objective != "pretrain" and not self.compares

    @property
    def compares(self) -> bool:
        """Whether the same rows are tuned on without the teacher too: what a distilled tune must beat, unless another control is named."""
        unsaid = self.objective == "distill" and "control" not in self.model_fields_set
        return unsaid or self.control == "sft"

    @property
    def trackers(self) -> tuple[str, ...]:
        named = (self.report_to,) if isinstance(self.report_to, str) else self.report_to
        return tuple(dict.fromkeys(name for name in named if name != "none"))

    def reads(self) -> tuple[str, ...]:
        if self.objective == "pretrain":
            return (f"{BESIDE}?",)
        return (ROWS,) if self.eval_strategy == "no" else (ROWS, HELD_OUT)

    def brings(self) -> tuple[Ingredient, ...]:
        return self.distill.brings() if self.objective == "distill" else ()

    def identity(self) -> dict[str, Any]:
        """With the base's own template an answer was once trained to end with EOS, whatever that template ends it with."""
        derived = {"end": "the template's"} if self.template == "chat" else {}
        if self.compares:
            derived["control"] = "sft"  # said or not: a shuffled one that is said is another tune
        if self.source is None:
            return super().identity() | derived
        said = self.model_copy(update={"source": None}).identity()
        return said | {"source": tuned_digest(self.source)}

    def rehearsed(self) -> Self:
        """A few steps; four times the length, for a stand-in tokenizer spells bytes, about four to a token."""
        return self.model_copy(
            update={
                "source": None,
                "max_steps": 4,
                "max_length": 4 * self.max_length,
                "gradient_accumulation_steps": 1,
                "processes": 1,
                "fsdp": False,
                "deepspeed": None,
                "distill": self.distill.rehearsed(),
                "report_to": "none",
                "resume_from_checkpoint": True,
                "use_liger_kernel": False,
                "torch_compile": False,
                "tf32": None,
                "fp8": False,
                "per_device_train_batch_size": min(self.per_device_train_batch_size, 4),
            }
            | ({"eval_strategy": "steps"} if self.eval_strategy == "usd" else {})
        )

    @property
    def kernels(self) -> Kernels:
        return Kernels(self.use_liger_kernel, self.torch_compile, self.tf32, self.fp8)

    def hyper(self, seed: int) -> Hyperparameters:
        """seed: the recipe's."""
        return Hyperparameters(
            self.learning_rate or self.usual_rate,
            self.num_train_epochs,
            self.max_steps,
            self.per_device_train_batch_size,
            self.gradient_accumulation_steps,
            self.lr_scheduler_type,
            self.warmup_steps,
            self.weight_decay,
            seed if self.seed is None else self.seed,
            None if self.method == "full" else self.lora.arguments(),
            objective=Objective(self.loss, self.prompt_loss_weight, self.neftune_noise_alpha),
            processes=self.processes,
            fsdp=self.fsdp,
            deepspeed=told_deepspeed(self.deepspeed),
            save_steps=self.save_steps,
            save_total_limit=self.save_total_limit,
            kernels=self.kernels,
            optimizer={
                "optim": self.optim,
                "adam_beta1": self.adam_beta1,
                "adam_beta2": self.adam_beta2,
                "adam_epsilon": self.adam_epsilon,
                "max_grad_norm": self.max_grad_norm,
            },
        )


def check(config: TrainConfig, base: BaseTable) -> None:
    """What the recipe alone decides, so that it is known before anything is paid."""
    if config.method == "full" and base.dtype == "bfloat16":
        raise UserError(
            "train: full tuning of bfloat16 weights: at a rate of 2e-5, 70 % of them do not move in a step",
            "set base.dtype: float32, or train.method: lora",
        )
    if config.objective == "distill":
        check_teacher_files(base, config.distill)
    if files_here(base) or isinstance(base.model, Path):
        from alpaca_pipe.models.base_check import check_base

        check_base(base, asked_of(config))


def asked_of(config: TrainConfig) -> Asked:
    """What the training asks of its base."""
    from alpaca_pipe.models.base_check import Asked

    adapts = config.method != "full"
    named = adapts and not isinstance(config.lora.target_modules, str)
    return Asked(
        config.template,
        config.max_length,
        config.lora.target_modules if named else (),
        config.lora.modules_to_save if adapts else (),
    )


def conversations_refused(several: int, rows: int, template: str) -> UserError:
    return UserError(
        f"train: {several} of {rows} rows are conversations of several turns, and template "
        f"{template} holds one exchange",
        "use train.template: chat (the base's own), chatml, llama3 or vicuna",
    )
