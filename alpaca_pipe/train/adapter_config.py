"""The table `lora:` inside `train:`: what the adapter is."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.config_table import Added, Table, wrong_key

_HEADS = ("lm_head", "embed_out")  # output layers, as transformers names them
Initial = Literal["default", "gaussian", "orthogonal", "pissa"]


class Lora(Table):
    """The adapter. Keys have the names of peft's LoraConfig, without the prefix `lora_`."""

    r: int = Field(16, ge=1, description="rank")
    alpha: int = Field(32, ge=1, description="the adapter's output is scaled by alpha / r")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="dropout of the adapter's input, while training"
    )
    target_modules: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="names of linear layers, such as [q_proj, v_proj]"
    )
    use_rslora: Annotated[bool, Added()] = Field(
        False, description="scaled by alpha / sqrt(r), for high ranks (arXiv:2312.03732)"
    )
    use_dora: Annotated[bool, Added()] = Field(
        False, description="length and direction of a weight apart (arXiv:2402.09353); slower"
    )
    init_lora_weights: Annotated[Initial, Added()] = Field(
        "default",
        description="pissa: from the base's largest singular values (arXiv:2404.02948); saved as a plain adapter of twice the rank",
    )
    modules_to_save: Annotated[tuple[str, ...], Added()] = Field(
        (), description="modules that are trained whole beside the adapter, such as [lm_head]"
    )

    renamed: ClassVar[dict[str, str]] = {
        "lora_r": "r",
        "rank": "r",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "rslora": "use_rslora",
        "dora": "use_dora",
    }

    @model_validator(mode="after")
    def _head_is_not_adapted(self) -> Self:
        """The loss is calculated from the output layer's own weight, which an adapter is no part of; trl refuses it too."""
        names = () if isinstance(self.target_modules, str) else self.target_modules
        if any(name.rpartition(".")[2] in _HEADS for name in names):
            sentence = (
                "an adapter on the output layer would not be trained - remove it, or train "
                "the layer whole: lora.modules_to_save: [lm_head]"
            )
            raise wrong_key("target_modules", list(names), sentence)
        return self

    def arguments(self) -> dict[str, Any]:
        """Of peft's LoraConfig."""
        targets = self.target_modules
        named: dict[str, Any] = {
            "r": self.r,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": targets if isinstance(targets, str) else list(targets),
        }
        if self.use_rslora:
            named["use_rslora"] = True
        if self.use_dora:
            named["use_dora"] = True
        if self.init_lora_weights != "default":
            named["init_lora_weights"] = self.init_lora_weights
        if self.modules_to_save:
            named["modules_to_save"] = list(self.modules_to_save)
        return named
