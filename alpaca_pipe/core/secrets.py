"""What looks like somebody's key: it stands in no recipe and in no sentence of ours."""

from __future__ import annotations

import re

from alpaca_pipe.core.lazy_regex import lazy_regex

# How the tokens of today's makers begin, as their documentation shows them (written down 2026-11-30, not generated from a list).
_MAKERS = (
    r"sk[-_]|pk[-_]|rk_live_|gsk[-_]|hf[-_]|api_org_|xai-|pplx-|csk-|nvapi-|tgp_v1_|fw_|r8_|rpa_|flp_|esecret_|jina_|pcsk_|tvly-"
    r"|vck_|ntn_|lsv2_[a-z]+_|wandb_v1_|dapi|gh[pousr]_|github_pat_|glpat-|npm_|pypi-|xox[abeoprs]-|xapp-|do[opr]_v1_|SG\."
    r"|ya29\.|GOCSPX-|secret_|sq0[a-z]{3}-|shpat_|dop_v1_|phx_|figd_|pat-"
)
# What looks like a key where a name or an address belongs.
LOOKS_LIKE_A_KEY = lazy_regex(
    rf"(?i)\b(?:{_MAKERS}|api[-_]|key[-_])[\w.-]{{12,}}|\bAIza[-\w]{{10,}}|\bBearer\s+\S+|\b(?:AKIA|ASIA)[A-Z0-9]{{16}}\b"
)
# The same anywhere in a text, where `hf-internal-testing` and `key-performance-indicators` are words: a prefix of a maker, and
# in one piece letters and digits mixed; or a form of its own: Google's, Amazon's, a web token, a private key.
_PREFIXED = lazy_regex(rf"(?<![\w-])(?:{_MAKERS})([\w.-]{{16,}})|(?<![\w-])AIza([\w-]{{30,}})")
_MIXED = lazy_regex(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12,}")
_BY_FORM = lazy_regex(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{15,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
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
    return bool(_BY_FORM.search(text)) or any(
        _MIXED.search(found[1] or found[2]) for found in _PREFIXED.finditer(text)
    )


def keys_hidden(text: str) -> str:
    """The text with every key of the kinds above as [key]."""

    def hidden(found: re.Match[str]) -> str:
        return "[key]" if _MIXED.search(found[1] or found[2]) else found[0]

    return _BY_FORM.sub("[key]", _PREFIXED.sub(hidden, text))
