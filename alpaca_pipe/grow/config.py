"""The table `grow:` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.config_table import Table, wrong_key
from alpaca_pipe.models.architecture import Architecture
from alpaca_pipe.weights.base import Growth

DRAWN_TOKENS = 32  # of a drawn row that is compared, where the recipe names no texts
SAME = frozenset({"zero_blocks", "net2net"})  # methods that promise the base's own answers

SHAPE = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
)


class GrowConfig(Table):
    """What the base becomes before it is trained. Sizes have the names of config.json; what is not named follows the width."""

    also: ClassVar[Mapping[str, str]] = {"layers": "num_hidden_layers"}

    method: Growth = Field(
        "zero_blocks",
        description="where weights come from: zero_blocks (copies of layers that add nothing yet) and net2net (width alone) keep "
        "the base's answers; stack repeats the layers, ligo learns a map from the small weights, scratch draws them",
    )
    num_hidden_layers: int | None = Field(
        None, ge=1, description="layers after it; default: the base's"
    )
    hidden_size: int | None = Field(None, ge=2, description="width after it; default: the base's")
    intermediate_size: int | None = Field(
        None, ge=2, description="width of the feed-forward; default: grows as hidden_size does"
    )
    num_attention_heads: int | None = Field(
        None,
        ge=1,
        description="heads, each as wide as before; default: grows as hidden_size does",
    )
    num_key_value_heads: int | None = Field(
        None, ge=1, description="key and value heads; default: grows as hidden_size does"
    )
    beside: tuple[Growth, ...] = Field(
        (),
        description="other methods for the same shape, to be trained on the same texts and compared: stack, scratch ...",
    )
    steps: int = Field(100, ge=1, description="ligo: steps in which the map is learned on `texts:`")
    learning_rate: float = Field(1e-3, gt=0, description="ligo: AdamW's, of the map")
    base_steps: int = Field(
        0,
        ge=0,
        description="steps of pre-training on `texts:` that the base itself is given first: for base.model: new",
    )
    base_learning_rate: float = Field(3e-3, gt=0, description="of base_steps")
    per_device_train_batch_size: int = Field(
        16, ge=1, description="ligo and base_steps: sequences of a step"
    )
    max_length: int = Field(128, ge=8, description="ligo and base_steps: tokens of a sequence")
    check_rows: int = Field(32, ge=1, description="rows whose logits are compared with the base's")

    @model_validator(mode="after")
    def _says_a_size(self) -> Self:
        if all(getattr(self, name) is None for name in SHAPE):
            sentence = "no size is named, so nothing grows - write num_hidden_layers or hidden_size"
            raise wrong_key("num_hidden_layers", None, sentence)
        twice = (self.method, *self.beside)
        if len(set(twice)) < len(twice):
            sentence = f"a method is named twice: {', '.join(twice)} - name each once"
            raise wrong_key("beside", self.beside, sentence)
        return self

    @property
    def reads_texts(self) -> bool:
        return "ligo" in self.methods or self.base_steps > 0

    @property
    def methods(self) -> tuple[Growth, ...]:
        """All of them, the one that the recipe goes on with first."""
        return (self.method, *self.beside)

    def grown(self, base: Architecture) -> Architecture:
        """The shape that a base of such a shape gets. UserError where no method could make it."""
        from alpaca_pipe.grow.target import Wanted, grown_shape

        wanted = Wanted(
            self.num_hidden_layers,
            self.hidden_size,
            self.intermediate_size,
            self.num_attention_heads,
            self.num_key_value_heads,
        )
        found = grown_shape(base, wanted)
        for method in self.methods:
            wanted.check(method, base, found)
        return found

    def rehearsed(self) -> Self:
        """Of the stand-in: twice as many layers where a method may add some, twice the width where the recipe changes it."""
        deeper = 4 if self.num_hidden_layers and "net2net" not in self.methods else None
        wide = self.hidden_size or self.intermediate_size
        wider = 128 if wide or deeper is None else None
        return self.model_copy(
            update=dict.fromkeys(SHAPE)
            | {"num_hidden_layers": deeper, "hidden_size": wider, "check_rows": 8}
            | {"steps": 2, "base_steps": min(self.base_steps, 2), "per_device_train_batch_size": 2}
        )
