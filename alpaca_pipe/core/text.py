"""Text as it can be stored and shown: JSON may hold half of a surrogate pair, which is no character and no UTF-8."""

from __future__ import annotations


def whole(text: str) -> str:
    """The text with U+FFFD for each half; two halves beside each other become their character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
