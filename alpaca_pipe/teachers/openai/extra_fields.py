"""What a recipe adds to every request, headers and fields of the body: no secret, and nothing that changes what is billed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from alpaca_pipe.core.config_table import Knob
from alpaca_pipe.core.secrets import is_secret
from alpaca_pipe.ledger.budget import OUTPUT_LIMITS, limit_of

# Whom and what we ask, and how many replies come: the ledger and the price rest on what the recipe says of them elsewhere.
_NOT_ADDED = ("model", "models", "messages", "prompt", "stream", "n", "best_of")


def secret_in(added: Mapping[str, Any]) -> str | None:
    """The name of the first thing that looks like a secret, however deep it lies, as `provider.token`."""
    return next((path for path, name, text in _texts(added) if is_secret(name, text)), None)


def billed_otherwise(added: Mapping[str, Any]) -> str | None:
    """What is wrong with fields that would change what a request costs, with its cure; None where there are none."""
    for name in _NOT_ADDED:
        if name in added and not (name == "stream" and added[name] is False):
            return (
                f"'{name}' changes what is asked or billed behind the ledger's back - take it out; the model is "
                "`teacher.model`, the rest belongs to the stage"
            )
    for name in OUTPUT_LIMITS:
        if name in added and limit_of(added[name]) is None:
            return f"'{name}: {added[name]}' is no output limit, so nobody can say what a request may cost - write a number"
    return None


def _holds_no_key(value: dict[str, Any]) -> dict[str, Any]:
    if secret := secret_in(value):
        raise ValueError(
            f"'{secret}' looks like a secret - put the key in an environment variable and its name "
            "in 'api_key_env'"
        )
    return value


def _bills_nothing_else(value: dict[str, Any]) -> dict[str, Any]:
    if wrong := billed_otherwise(value):
        raise ValueError(wrong)
    return value


ExtraBody = Annotated[
    dict[str, Any],
    AfterValidator(_holds_no_key),
    AfterValidator(_bills_nothing_else),
    Field(description="fields added to every request as they are"),
]
ExtraHeaders = Annotated[
    dict[str, str],
    Knob(),
    AfterValidator(_holds_no_key),
    Field(description="sent with every request; no secrets"),
]


def _texts(value: Any, path: str = "", name: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text with its path and its name; a text in a list has the list's name."""
    if isinstance(value, Mapping):
        for inner, below in value.items():
            yield from _texts(below, f"{path}.{inner}" if path else str(inner), str(inner))
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _texts(below, path, name)
    elif isinstance(value, str):
        yield path, name, value
