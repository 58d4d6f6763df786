"""The shape of a model that is not trained yet: `base: {model: new, shape: ...}`. Names as in a LLaMA's config.json."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.config_table import Table, wrong_key


class NewShape(Table):
    """A LLaMA whose weights are drawn (initializer_range 0.02), to be pre-trained."""

    hidden_size: int = Field(ge=2, description="width")
    num_hidden_layers: int = Field(ge=1, description="layers")
    num_attention_heads: int = Field(ge=1, description="heads; hidden_size is divided among them")
    num_key_value_heads: int | None = Field(
        None, ge=1, description="key and value heads; default: as many as heads"
    )
    intermediate_size: int | None = Field(
        None, ge=2, description="width of the feed-forward; default: 8/3 of hidden_size"
    )
    max_position_embeddings: int = Field(2048, ge=8, description="tokens of a sequence, at most")
    tie_word_embeddings: bool = Field(
        True, description="whether the embedding is the output layer too"
    )

    @model_validator(mode="after")
    def _divides(self) -> Self:
        heads, keys = self.num_attention_heads, self.num_key_value_heads or self.num_attention_heads
        if self.hidden_size % (2 * heads):
            sentence = (
                f"{heads} heads of even width do not divide {self.hidden_size} - change one of both"
            )
            raise wrong_key("hidden_size", self.hidden_size, sentence)
        if heads % keys:
            sentence = f"{keys} key heads do not divide {heads} heads - change one of both"
            raise wrong_key("num_key_value_heads", keys, sentence)
        return self

    def config(self) -> dict[str, Any]:
        """As LlamaConfig takes it, all of it said."""
        return {
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size or round(self.hidden_size * 8 / 3),
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads or self.num_attention_heads,
            "max_position_embeddings": self.max_position_embeddings,
            "tie_word_embeddings": self.tie_word_embeddings,
        }
