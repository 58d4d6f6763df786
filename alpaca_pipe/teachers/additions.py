"""What a recipe adds to every request, headers and fields of the body: no secret, and nothing that changes what is billed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.ledger.budget import OUTPUT_LIMITS, limit_of

# What keys of the larger providers look like; a long run of letters and digits is taken for one where a name belongs.
LOOKS_LIKE_A_KEY = re.compile(r"(?i)\b(sk|pk|gsk|hf|xai|api|key|AIza)[-_][\w-]{12,}|\bAIza[\w-]{20,}|\bBearer\s+\S+")
_ALWAYS_SECRET = {"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"}
_NAME_OF_A_SECRET = re.compile(r"(?i)key(?!word)|token(?!iz)|secret|passw|auth(?!ors?\b)|cookie")
_SHORTEST_SECRET = 8  # characters
# Fields that name no secret: OpenAI's cache key, and the tokens of a vocabulary ("<|im_end|>").
_NO_SECRET = {"prompt_cache_key"}
_OF_A_VOCABULARY = re.compile(r"<[^<>\s]+>|\[[A-Z]+\]")
# Whom and what we ask, and how many replies come: the ledger and the price rest on what the recipe says of them elsewhere.
_NOT_ADDED = ("model", "models", "messages", "prompt", "stream", "n", "best_of")


def secret_in(added: Mapping[str, Any]) -> str | None:
    """The name of the first thing that looks like a secret, however deep it lies, as `provider.token`."""
    return next((path for path, name, text in _texts(added) if _is_secret(name, text)), None)


def billed_otherwise(added: Mapping[str, Any]) -> str | None:
    """What is wrong with fields that would change what a request costs, with its cure; None where there are none."""
    for name in _NOT_ADDED:
        if name in added:
            return (f"'{name}' changes what is asked or billed behind the ledger's back - take it out; the model is "
                    "`teacher.model`, the rest belongs to the stage")
    for name in OUTPUT_LIMITS:
        if name in added and limit_of(added[name]) is None:
            return f"'{name}: {added[name]}' is no output limit, so nobody can say what a request may cost - write a number"
    return None


def _is_secret(name: str, text: str) -> bool:
    if name.lower() in _ALWAYS_SECRET or LOOKS_LIKE_A_KEY.search(text):
        return True
    return (len(text) >= _SHORTEST_SECRET and bool(_NAME_OF_A_SECRET.search(name)) and name not in _NO_SECRET
            and not _OF_A_VOCABULARY.fullmatch(text))


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
