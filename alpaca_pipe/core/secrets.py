"""What looks like somebody's key: it stands in no recipe and in no sentence of ours."""

from __future__ import annotations

from alpaca_pipe.core.lazy_regex import lazy_regex

# What keys of the larger providers look like, where a name or an address belongs.
LOOKS_LIKE_A_KEY = lazy_regex(
    r"(?i)\b(sk|pk|gsk|hf|xai|api|key|AIza)[-_][\w-]{12,}|\bAIza[\w-]{20,}|\bBearer\s+\S+"
)
# The same anywhere in a text, where `hf-internal-testing` and `key-performance-indicators` are words: a prefix of a provider,
# and in one piece letters and digits mixed.
_PREFIXED = lazy_regex(r"(?<![\w-])(?:sk|pk|gsk|hf|xai)[-_]([\w-]{16,})|(?<![\w-])AIza([\w-]{30,})")
_MIXED = lazy_regex(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12,}")
_ALWAYS_SECRET = {"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"}
_NAME_OF_A_SECRET = lazy_regex(r"(?i)key(?!word)|token(?!iz)|secret|passw|auth(?!ors?\b)|cookie")
_SHORTEST_SECRET = 8  # characters
# Fields that name no secret: OpenAI's cache key, and the tokens of a vocabulary ("<|im_end|>").
_NO_SECRET = {"prompt_cache_key"}
_OF_A_VOCABULARY = lazy_regex(r"<[^<>\s]+>|\[[A-Z]+\]")
_WITH_A_PASSWORD = lazy_regex(r"//[^/\s@]+@")


def is_secret(name: str, text: str) -> bool:
    """Whether the value of a field called so looks like a secret."""
    if (
        name.lower() in _ALWAYS_SECRET
        or LOOKS_LIKE_A_KEY.search(text)
        or _WITH_A_PASSWORD.search(text)
    ):
        return True
    return (
        len(text) >= _SHORTEST_SECRET
        and bool(_NAME_OF_A_SECRET.search(name))
        and name not in _NO_SECRET
        and not _OF_A_VOCABULARY.fullmatch(text)
    )


def holds_a_key(text: str) -> bool:
    """Whether a provider's key stands somewhere in a text."""
    return any(_MIXED.search(found[1] or found[2]) for found in _PREFIXED.finditer(text))
