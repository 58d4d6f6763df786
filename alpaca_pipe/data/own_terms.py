"""What a recipe says in its own words about the terms of a model.

Words are no permission: "CC BY-NC 4.0: research only" stands where "MIT" may stand. They are searched for what they forbid; they
allow only where they are the name of a licence that we know, or the link to it, and nothing else. Whatever else is asked about.
"""

from __future__ import annotations

import re
from typing import Literal

from alpaca_pipe.core.lazy_regex import lazy_regex

Reading = Literal["open licence", "not to be sold", "research only", "not to train on", "unread"]

# They allow to use, change and sell, on conditions that can be kept. As `_plain` writes them.
_OPEN = lazy_regex(
    r"mit(?: 0)?|apache(?: license)?(?: version)? 2(?:\.0)?|asl 2\.0|0?bsd|bsd [23] clause|isc|zlib|unlicense|public domain"
    r"|cc0(?: 1\.0)?(?: universal)?|cc by(?: [1-4]\.0)?|odc by(?: 1\.0)?|pddl(?: 1\.0)?|cdla permissive [12]\.0"
    r"|(?:bsl|boost software license) 1\.0|apache\.org/licenses/license 2\.0(?:\.txt|\.html)?"
    r"|(?:opensource\.org/licenses?|spdx\.org/licenses)/(?:mit|apache 2(?:\.| )0|bsd [23] clause|isc)(?:\.html)?"
    r"|creativecommons\.org/(?:licenses/by/[1-4]\.0|publicdomain/zero/1\.0)"
)
_BOTH = lazy_regex(
    r"\b(?:non ?commercial(?: use)? (?:and|or|as well as) commercial|commercial(?: use)? (?:and|or|as well as|and also) non ?commercial)\b"
    r"|\bnot (?:limited|restricted|confined) to (?:non ?commercial|research|academic)\b"
)
# What is taken back: "no restrictions on commercial use" forbids nothing (nor is it a licence that we know: it is asked about).
_LIFTED = lazy_regex(
    r"\b(?:no|not any|without(?: any)?|free of)(?: \w+)? (?:restrictions?|limits?|limitations?|fees?|royalt(?:y|ies)|conditions?)\b"
    r"(?: (?:on|for|to|against|of) (?:\w+ ){0,2}?(?:commercial(?: use)?|selling|sale|training(?: \w+)?))?"
    r"|\b(?:training|commercial(?: use)?|sale|selling)(?: use| uses| usage)?(?: is| are)? not (?:restricted|limited|prohibited|forbidden|a problem|excluded)\b"
    r"|\b(?:not|never) (?:need|require)s?(?: any| a)? permission(?: to \w+)?\b|\bwithout(?: any| a)? permission being needed\b"
)
_RESEARCH = r"(?:research|academi[ac]|academic research|scientific|education(?:al)?|teaching|evaluation|personal|private|study|hobby)"
_FORBIDDEN = r"(?:not|never|no|prohibited|forbidden|disallowed|excluded|banned|requires?|needs?|by request|on request|upon request)"
_ONLY_RESEARCH = lazy_regex(
    rf"\b{_RESEARCH}(?: (?:and|or|and/or) {_RESEARCH})*(?: use| uses| purposes?)? (?:only|alone|exclusively|solely)\b"
    rf"|\b(?:only|solely|exclusively|restricted|limited)(?: be)?(?: used| use)?(?: for| to| in)(?: \w+){{0,2}} {_RESEARCH}\b"
    rf"|\bresearch license\b"
)
_UNSOLD = lazy_regex(
    r"\bnon ?commercial|\bby nc\b|\bnc (?:sa|nd|[1-4]\.0)\b"
    r"|\b(?:no|not|never|without)(?: \w+){0,4} (?:commercial(?:ly)?|sale|sales|resale|resold|sold|sell|selling|monetis\w+|monetiz\w+)\b"
    rf"|\bcommercial(?: use| uses| usage| purposes?| exploitation)?(?: of \w+(?: \w+)?)?(?: is| are| be)? {_FORBIDDEN}\b"
    r"|\b(?:prohibits?|forbids?|excludes?|bans?|disallows?)(?: \w+){0,3} commercial\b"
)
_UNTRAINED = lazy_regex(
    r"\b(?:no|not|never|without|prohibits?|forbids?|bans?|disallows?)(?: \w+){0,6} "
    r"(?:train(?:ing|ed)?|fine ?tun(?:e|ed|ing)|distil(?:l|led|ling|lation)?|improv(?:e|ing)|develop(?:ing)?)\b"
)


def read_terms(words: str) -> Reading:
    """What can be taken from them; what forbids goes before what allows. Never raises."""
    plain = _plain(words)
    if _OPEN.fullmatch(plain.removesuffix(" license")):
        return "open licence"
    plain = _LIFTED.sub("", _BOTH.sub("", plain))
    if _UNTRAINED.search(plain) and "compet" not in plain:
        return "not to train on"
    if _ONLY_RESEARCH.search(plain):
        return "research only"
    return "not to be sold" if _UNSOLD.search(plain) else "unread"


def _plain(words: str) -> str:
    """In lower case, a space for each run of spaces, commas and hyphens; without the scheme of a link, "the", and what ends a sentence."""
    plain = re.sub(r"[\s,_\u2010-\u2015-]+", " ", words.casefold()).strip(" .;,!\"'()/")
    plain = re.sub(r"^https?://(?:www\.)?", "", plain).replace("licence", "license")
    plain = re.sub(r"(?:/deed\.\w+|/legalcode(?:\.\w+)?)$", "", plain)
    return plain.removeprefix("the ")
