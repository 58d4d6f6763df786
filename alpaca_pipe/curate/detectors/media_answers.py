"""Answers that are only a picture, a sound, a tag or links: what a text model made up and nobody can open."""

from __future__ import annotations

import re

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.word_count import word_count
from alpaca_pipe.curate.detectors.missing_media import LINK, SEEN, is_deep

_TAG = (
    r"<\s*(?P<tag>audio|video|picture|figure|object|iframe|svg)\b[^>]*>(?:(?!</\s*(?P=tag)).)*?(?:</\s*(?P=tag)\s*>|$)"
    r"|<\s*(?:img|image|audio|video|source|embed|iframe|output|attachment|file|picture|sound|music|graph|chart|drawing)\b[^>]*>"
)
_MADE_UP = lazy_regex(
    rf"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?|{_TAG}"
    r"|data:(?:image|audio|video)/[\w.+-]+;base64,[\w+/=]*"
    r"|[\[(*<{]+\s*(?:see\s|insert\s|the\s|an?\s|attached\s|plays?\s|playing\s|shows?\s|displays?\s|sound\sof\s)*"
    rf"(?:images?|pictures?|photos?|drawings?|illustrations?|videos?|audio|sounds?|music|songs?|recordings?|graphs?|charts?|diagrams?)\b[^\])>*}}\n]{{0,80}}[\])*>}}]+"
    rf"|(?<!\S)\S{{1,300}}\.(?:{SEEN})\b",
    re.IGNORECASE | re.DOTALL,
)
# What may stand around it and still say nothing.
_FRAME = lazy_regex(
    r"\b(?:here(?:\s(?:is|are|you\sgo))?|here['’]s|below|attached|see|the|an?|your|my|this|of|for|to|you|requested|following|link|source|url"
    r"|image|picture|photo|drawing|video|audio|file|output|response|answer|sure|please|find|can|be|found|at|and|it|is|i|have|made"
    r"|created|generated|drawn|drew|title|caption)\b|[\W\d_]+",
    re.IGNORECASE,
)
_MAYBE = lazy_regex(
    rf"[\[(*<{{]+\s*[a-z/]|https?:|www\.|;base64,|\w\.(?:{SEEN}|com|org|net|edu|gov|io)\b",
    re.IGNORECASE,
)
_ENDING = lazy_regex(rf"\.(?:{SEEN}|com|org|net|edu|gov|io)\b", re.IGNORECASE)
_OPENED = lazy_regex(r"[\[(*<{]\s*[a-z/]", re.IGNORECASE)
_MOST_WORDS = 6  # beside it that do not describe it
# Where markup or an address is the answer: code, data formats, the address of a site that is known.
_MARKUP = lazy_regex(
    r"\b(?:html|xml|css|svg|markdown|tags?|code|cod(?:e|ing)|scripts?|program\w*|function|snippet|embed\w*|element|latex|python"
    r"|java(?:script)?|react|regex|emojis?|emoticons?|filename|file\sname|extension|path|format|convert|pars\w+|extract\w*|rewrite"
    r"|edit|fix|correct|translat\w*|caption|describ\w*|which|choose|select|name\sof|shorten\w*|encod\w*|generate\sa\s(?:url|link)"
    r"|hyperlinks?|append\w*|(?:sample|request|example|valid|create\sa|write\sa)\surl|(?:any|contains?)\surl|insert\w*|replac\w*|ascii|text-based|normali[sz]\w*|validat\w*|citations?|cite)\b",
    re.IGNORECASE,
)
_KNOWN = lazy_regex(r"\bwikipedia\.org/wiki/[^/]+$", re.IGNORECASE)  # follows from the name
_SOURCES = lazy_regex(
    r"\b(?:sources?|articles?|links?|urls?|references?|resources?|websites?|web\s?(?:sites?|pages?)|papers?|studies|videos?|images?|pictures?"
    r"|photos?|songs?|music|tutorials?|blogs?|podcasts?|news|datasets?|reports?|pages?|find|search|look\sup|locate|compose|play|record"
    r"|show|draw|create|generate)\b",
    re.IGNORECASE,
)


def only_media(example: Example) -> str:
    """What the output consists of, where it is only a picture, a sound, a tag or invented links; "" where it describes what it
    shows, draws it in characters, or where markup or an address was asked for."""
    output = example.output
    if not (_may_be_media(output) and _MAYBE.search(output)):
        return ""
    found = _MADE_UP.search(output)
    links = [one.group() for one in LINK.finditer(output)]
    if not found and not links:
        return ""
    if _MARKUP.search(example.instruction):
        return ""
    rest = _FRAME.sub(" ", LINK.sub(" ", _MADE_UP.sub(" ", output)))
    if word_count(rest) > (_MOST_WORDS if found else _MOST_WORDS * len(links)):
        return ""
    if found:
        return found.group()
    deep = next((link for link in links if is_deep(link) and not _KNOWN.search(link)), "")
    return deep if _SOURCES.search(example.instruction) else ""


def _may_be_media(text: str) -> bool:
    """What the slower pattern finds has one of these."""
    low = text.lower()
    return (
        "http" in low
        or "www." in low
        or ";base64," in low
        or ("." in text and bool(_ENDING.search(text)))
        or bool(_OPENED.search(text))
    )
