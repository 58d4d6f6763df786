"""What a recipe adds to every request, headers and fields of the body: no secret, and nothing that changes what is billed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from alpaca_pipe.core.config_table import Knob
from alpaca_pipe.core.secrets import is_secret
from alpaca_pipe.ledger.budget import OUTPUT_LIMITS, limit_of

# Whom and what we ask, and how many replies come: the ledger and the price rest on what the recipe says of them elsewhere.
_NOT_ADDED = ("model", "models", "messages", "prompt", "stream", "n", "best_of")
# What providers bill by the call, by the second, by the page or beside the output limit. Sources: the API references of OpenAI
# (web_search_options, modalities, prediction, tools), OpenRouter (plugins, reasoning.max_tokens), Anthropic (thinking, container,
# mcp_servers), Google (thinking_config, cached_content), xAI (search_parameters), Alibaba (enable_search, thinking_budget).
_BILLED_APART = frozenset(
    [
        "tools",
        "functions",
        "tool_choice",
        "web_search",
        "web_search_options",
        "search_parameters",
        "enable_search",
        "search_options",
        "plugins",
        "builtin_tools",
        "mcp_servers",
        "mcp",
        "container",
        "modalities",
        "audio",
        "prediction",
        "thinking_config",
        "thinking_budget",
        "thinking",
        "enable_thinking",
        "reasoning",
        "budget_tokens",
        "google_search",
        "grounding",
        "code_execution",
        "code_interpreter",
        "file_search",
        "connectors",
        "images",
        "image_config",
        "num_generations",
        "num_return_sequences",
        "batch_size",
        "deferred",
        "background",
        "cached_content",
        "include_server_side_tool_invocations",
    ]
)
_OFF = (None, False, 0, "", "off", "none", "disabled", "text")
# Inside these a name is a word of somebody's own: a schema, a template's variable, a label.
_OF_THEIR_OWN = {
    "response_format",
    "guided_json",
    "json_schema",
    "grammar",
    "metadata",
    "chat_template_kwargs",
    "logit_bias",
}
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110: a token
_OUTSIDE = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")


def billed_apart(added: Mapping[str, Any]) -> str | None:
    """The path of the first field, however deep it lies, that asks for something which is billed beside tokens and their
    limit; None where there is none. One that is turned off asks for nothing."""
    return next((path for path, value in _fields(added) if not _is_off(value)), None)


def secret_in(added: Mapping[str, Any]) -> str | None:
    """The name of the first thing that looks like a secret, however deep it lies, as `provider.token`."""
    return next((path for path, name, text in _texts(added) if is_secret(name, text)), None)


def billed_otherwise(added: Mapping[str, Any]) -> str | None:
    """What is wrong with fields that would change what a request costs, with its cure; None where there are none."""
    for name in _NOT_ADDED:
        if name in added and not (name == "stream" and added[name] is False):
            return (
                f"'{name}' changes what is asked or billed behind the ledger's back - remove it; the model is "
                "`teacher.model`, the rest belongs to the stage"
            )
    for name in OUTPUT_LIMITS:
        if name in added and limit_of(added[name]) is None:
            return f"'{name}: {added[name]}' is not an output limit, so there is no limit to what a request may cost - write a number"
    return None


def _one_line_each(value: dict[str, str]) -> dict[str, str]:
    """HTTP has a header on one line: a name with a blank or a value with a line break would be read as another header."""
    for name, text in value.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(
                f"'{name[:40]}' is not a name of a header - letters, digits and - make one"
            )
        if found := _OUTSIDE.search(text):
            raise ValueError(
                f"the header '{name}' holds {found.group()!r}, which no header may - write one line of plain characters"
            )
    return value


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
    AfterValidator(_one_line_each),
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


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field that is billed apart, with its path."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from _fields(one, path)
    elif isinstance(value, Mapping):
        for name, below in value.items():
            inner = f"{path}.{name}" if path else str(name)
            if str(name).lower() in _BILLED_APART:
                yield inner, below
            elif name not in _OF_THEIR_OWN:
                yield from _fields(below, inner)


def _is_off(value: Any) -> bool:
    if isinstance(value, Mapping):
        kind = value.get("type", value.get("enabled", value.get("effort", False)))
        others = [
            one
            for name, one in value.items()
            if name not in ("type", "enabled", "effort", "exclude")
        ]
        return _is_off(kind) and all(map(_is_off, others))
    if isinstance(value, list | tuple):
        return all(map(_is_off, value))
    return any(value is off or (type(value) is type(off) and value == off) for off in _OFF)
