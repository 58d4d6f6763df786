"""Whether an answer declines, by its words. English only, and only how it begins: who lectures first and helps then, or declines
without a usual word, is misread. It says nothing about what an answer that does not decline contains."""

from __future__ import annotations

import re

from alpaca_pipe.core.lazy_regex import lazy_regex

_BEGINNING = 240  # characters
_NOT = r"(?:can ?not|can['’]?t|could not|couldn['’]t|will not|won['’]t|would not|wouldn['’]t|must not|should not|shouldn['’]t|do not|don['’]t)"
_UNABLE = r"(?:am|['’]m) (?:not able|unable|not going|not comfortable|not willing|not allowed|not permitted|not here)"
_DONE = (
    r"(?:help|assist|support|provide|give|offer|write|create|generate|make|tell|explain|share|show|answer|do|comply|fulfil+"
    r"|engage|participate|encourage|condone|promote|advise|recommend|suggest|discuss|invent|teach|produce|draft|take part)\b"
)
_DECLINES = tuple(
    lazy_regex(pattern, re.IGNORECASE)
    for pattern in (
        rf"\bI(?:['’]m sorry,? (?:but )?I)? ?(?:{_NOT}|{_UNABLE})\b[^.!?\n]{{0,30}}?\b{_DONE}",
        r"\bI(?: must| have to| need to|['’]d rather|['’]ll have to| will have to)?,? (?:respectfully )?(?:decline|refuse)\b",
        r"\b(?:I am|I['’]m) (?:very )?sorry,? but\b|^(?:sorry|apologies|unfortunately),? (?:but )?I\b",
        r"\b(?:I['’]d|I would) (?:rather|prefer) not\b",
        r"\b(?:that|this|it)(?: is|['’]s) (?:not )?(?:something|a request|a thing) (?:that )?I (?:can ?not|can['’]t|won['’]t|can|will|would)\b",
        r"\b(?:as an AI|as a language model|as an assistant)\b[^.!?\n]{0,60}\b(?:can ?not|can['’]t|do not|don['’]t|not able|unable|must not)\b",
        r"\bit(?: is|['’]s) (?:not (?:ok|okay|right|appropriate|acceptable|legal|ethical)|(?:illegal|unethical|wrong|never (?:ok|okay|right))) to\b",
        r"^(?:no|never)[.,!]",
        r"\bwe (?:should|must) not\b[^.!?\n]{0,40}\b(?:hurt|harm|steal|cheat|lie)",
    )
)


def declines(answer: str) -> bool:
    """Whether the beginning of an answer turns the request down."""
    start = " ".join(answer.split())[:_BEGINNING]
    return any(pattern.search(start) for pattern in _DECLINES)
