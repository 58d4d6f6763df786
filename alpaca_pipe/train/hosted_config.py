"""The key `train.hosted`: which provider tunes, and what of the rest of `train:` it can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from alpaca_pipe.core.config_table import Knob, Table
from alpaca_pipe.core.errors import UserError

if TYPE_CHECKING:
    from alpaca_pipe.train.config import TrainConfig

Provider = Literal["together", "fireworks"]
_ADDRESSES: Mapping[Provider, str] = {
    "together": "https://api.together.ai/v1",
    "fireworks": "https://api.fireworks.ai/v1",
}
_KEYS: Mapping[Provider, str] = {"together": "TOGETHER_API_KEY", "fireworks": "FIREWORKS_API_KEY"}
# Of `train:`, what both providers can be told; knobs change no result.
_TOLD = frozenset({"hosted", "method", "learning_rate", "num_train_epochs", "lora", "control"})
_TOLD_OF_LORA = frozenset({"r"})
_KNOBS = frozenset({"gradient_checkpointing"})


class HostedTuning(Table):
    """A provider that tunes a model of its own list: `hosted: together`, or this table."""

    provider: Provider = Field(description="together, or fireworks")
    model: str | None = Field(
        None, min_length=1, description="the base as the provider calls it; default base.model"
    )
    account: str | None = Field(None, description="of Fireworks: the account's id")
    base_url: Annotated[str | None, Knob()] = Field(
        None, description="of its API, up to /v1; default the provider's"
    )
    api_key_env: Annotated[str | None, Knob()] = Field(
        None,
        description="NAME of the variable with the key; default TOGETHER_API_KEY or FIREWORKS_API_KEY",
    )
    poll: Annotated[float, Knob()] = Field(60.0, gt=0, description="most seconds between two looks")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"provider": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _of_an_account(self) -> HostedTuning:
        if (self.provider == "fireworks") != (self.account is not None):
            raise ValueError(
                "Fireworks tunes for an account - write hosted: {provider: fireworks, account: NAME}"
                if self.provider == "fireworks"
                else "an account is named for Fireworks alone - remove it"
            )
        return self

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username):
            raise ValueError("not an address - write it like https://host/v1")
        return url.rstrip("/") if url else None

    @property
    def address(self) -> str:
        return self.base_url or _ADDRESSES[self.provider]

    @property
    def key_variable(self) -> str:
        return self.api_key_env or _KEYS[self.provider]


def check_hosted(config: TrainConfig, tables: Mapping[str, Any]) -> None:
    """UserError for what a provider is not told, which would be dropped without a word, and for what needs the weights."""
    hosted = config.hosted
    if hosted is None:
        return
    if config.control != "none":
        raise UserError(
            "train.hosted: a provider tunes no control, whose weights would have to be compared here",
            "say so: train.control: none",
        )
    if config.method == "qlora":
        raise UserError(
            "train.hosted: no provider tunes by qlora", "use train.method: lora, or full"
        )
    if needing := [kind for kind in ("evaluate", "export") if kind in tables]:
        raise UserError(
            f"train.hosted: the weights stay with {hosted.provider}, and {needing[0]} needs them",
            f"take {' and '.join(needing)} out of the recipe; ask the tuned model there",
        )
    if config.num_train_epochs != int(config.num_train_epochs):
        raise UserError(
            "train.hosted: providers tune for whole epochs",
            "write num_train_epochs: 3, or another whole number",
        )
    untold = sorted(config.model_fields_set - _TOLD - _KNOBS) + [
        f"lora.{name}" for name in sorted(config.lora.model_fields_set - _TOLD_OF_LORA)
    ]
    if untold:
        raise UserError(
            f"train.hosted: {hosted.provider} is not told train.{untold[0]}, so it would change nothing",
            f"remove it ({', '.join(untold)}), or tune here",
        )
