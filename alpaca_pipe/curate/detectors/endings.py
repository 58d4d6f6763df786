"""Texts that stop before they end."""

from __future__ import annotations

import re

from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.word_count import words
from alpaca_pipe.curate.detectors.english import is_english

# A comma, or a word that cannot end a sentence without another one (as "to look at" and "to live with" can).
_OPEN = lazy_regex(
    r"(?:,|\b(?:the|a|an|and|or|of|to|as|that|which|is|are|was|were|be|will|can|but"
    r"|if|because|its|their|your|my|our|his|her))$"
)
_VERB = frozenset(("is", "are", "was", "were", "be", "will", "can"))
# "for they are what make us who we are", "as good as it can be": a clause that such a verb may end.
_CLAUSE = lazy_regex(
    r"\b(?:who|what|where|when|how|whoever|whatever|wherever|however|than|as|all|everything|anything|nothing|best|way|most|neither"
    r"|nor|if|whether)(?:\s+\S+){1,4}$",
    re.IGNORECASE,
)
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
# "20." stops a reply after its last task, and cuts "in 2020." and "$20." as well (stanford_alpaca's stop sequences).
_STUMP = lazy_regex(
    rf"(?:\b(?:in|since|until|till|during|early|late|as of|(?:{_MONTH})(?: \d{{1,2}},)?) (?:19|20)|(?<!\d)\s[$€£])$"
)
_STUMP_ENDS = ("0", "9", "$", "€", "£")
_STUMP_WORDS = 5


def open_end(output: str, least_words: int) -> str:
    """The last word, where the output is English prose of `least_words` or more and needs one more; else "".

    The last line must be of six words or more: lists, code, tables and closings of letters end openly and rightly.
    """
    text = output.rstrip()
    if not (text[-1:].isalpha() or text[-1:] == ","):
        return ""
    lines = text.splitlines()
    if not lines or not _OPEN.search(lines[-1]) or len(last := lines[-1].split()) < 6:
        return ""
    if len(output.split()) < least_words or not is_english(output):
        return ""
    if last[-1].lower() in _VERB and _CLAUSE.search(" ".join(last[-8:])):
        return ""
    return last[-1]


def stump(output: str) -> str:
    """The end of an output that was cut inside a number, or ""."""
    text = output[-60:].rstrip()
    found = _STUMP.search(text) if text[-1:] in _STUMP_ENDS else None
    return found.group().strip() if found and len(words(output)) >= _STUMP_WORDS else ""
