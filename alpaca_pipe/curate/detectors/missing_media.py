"""What a model of text can neither see nor make: what lies behind a link or in an attachment, and pictures and sound."""

from __future__ import annotations

import re

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.word_count import word_count, words
from alpaca_pipe.similarity.words import unicode_words

_TOP = "com|org|net|edu|gov|io|co|info|ai|uk|de|fr|ca|au|in"
LINK = lazy_regex(
    rf"https?://[^\s<>\"']+|www\.[^\s<>\"',]+|\b(?<!@)[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,6}}\.(?:{_TOP})\b(?:/[^\s<>\"']*)?",
    re.IGNORECASE,
)
_DOT_TOP = lazy_regex(rf"\.(?:{_TOP})\b", re.IGNORECASE)
SEEN = r"jpe?g|png|gif|bmp|webp|svg|tiff?|mp[34]|wav|ogg|flac|avi|mov|mkv|webm"
_SHOWN = lazy_regex(
    rf"\.(?:{SEEN})\b|youtu\.?be|vimeo\.com|soundcloud\.com|imgur\.com|unsplash\.com",
    re.IGNORECASE,
)
_LABELS = lazy_regex(
    r"\b(?:article|link|url|website|web ?page|page|source|address|site|image|photo|picture|video|audio|here"
    r"|the|is|of|at|to|a|an|title|given|this|following)s?\b|[\W\d_]+",
    re.IGNORECASE,
)
_RESERVED = lazy_regex(
    r"\bexample\d?\.(?:com|org|net|edu)\b", re.IGNORECASE
)  # RFC 2606: nothing is there
# The address itself, or code that will fetch it, is what the task is about.
_ADDRESS = lazy_regex(
    r"\b(?:normali[sz]\w*|pars(?:e|es|ing)|valid\w*|shorten\w*|encod\w*|decod\w*|domains?|protocols?|cit(?:e|es|ation\w*)"
    r"|APA|MLA|scrap\w*|crawl\w*|HTTP|API|code|coding|script|program|function|class|regex|regular expressions?"
    r"|HTML|CSS|markdown|python|java(?:script)?|query|SQL|bookmark|hyperlink|anchor|related urls|e-?mails?|advert\w*"
    r"|promot\w*|slogan|press release|extract the (?:url|link|domain)\w*|replace|format)\b",
    re.IGNORECASE,
)
_LOOK = lazy_regex(
    r"\b(?:summar\w*|design|accessib\w*|usab\w*|user (?:experience|interface)|home ?page|layout|visit|open|read|browse"
    r"|content\w*|article|story|paper|page|improve\w*|evaluat\w*|rate|review|critique|critici[sz]e|feedback|apprais\w*"
    r"|screenshot|analy[sz]e)\b",
    re.IGNORECASE,
)
_FEWEST_WORDS = (
    9  # beside its links and labels, a text of so many words may well hold what the task needs
)

_MEDIUM = (
    r"(?:images?|pictures?|photos?|photographs?|pics?|screenshots?|paintings?|drawings?|sketch(?:es)?|illustrations?"
    r"|artworks?|figures?|diagrams?|graphs?|charts?|maps?|logos?|posters?|cartoons?|comics?|gifs?|videos?|clips?"
    r"|audio|recordings?|sounds?|podcasts?|files?|documents?|pdfs?|spreadsheets?|attachments?|links?|graphics?)"
)
_IMAGE_MARKUP = lazy_regex(r"!\[[^\]]*\]\s*[(\[]|<ima?ge?\b[^>]*(?:src|url|:)[^>]*>", re.IGNORECASE)
_STAND_IN = lazy_regex(
    rf"(?<![<\[({{])[<\[({{]++[^<>\[\](){{}}=/]{{0,60}}\b{_MEDIUM}\b[^<>\[\](){{}}=]{{0,120}}[>\])}}]+",
    re.IGNORECASE,
)
_NOT_HERE = lazy_regex(
    r"\W*[<\[({][^<>\[\](){}=/]{0,40}\b(?:articles?|tables?|essays?|papers?|passages?|transcripts?|reports?"
    r"|data ?sets?|stories)\b[^<>\[\](){}=/]{0,120}[>\])}]\W*",
    re.IGNORECASE,
)  # and nothing else
_ATTACHED = lazy_regex(
    rf"\W*(?:see |the |an? )?(?:attach(?:ed)?|provided|inserted|uploaded)\s+(?:the |an? )?(?:{_MEDIUM}|table|article"
    rf"|here|below)(?: of [\w -]{{1,40}})?\W*"
    rf"|\W*{_MEDIUM}\s+(?:is |are )?(?:attached|provided|inserted|included|uploaded)\W*"
    rf"|\W*[\w -]{{1,60}}\.(?:{SEEN}|pdf|docx?|xlsx?|pptx?|csv|txt|zip)\W*",
    re.IGNORECASE,
)
_IMAGE_MARKUP_WHOLE = lazy_regex(
    r"!\[[^\]]*\]\s*(?:\([^)]*\)|\[[^\]]*\])?|<\s*/?[a-z]+\b[^>]*>", re.IGNORECASE
)
_NOT_MADE = lazy_regex(
    r"\b(?:GPT|language model|no output|(?:can(?:no|['’])t|cannot|unable to|not able to|not possible to) (?:\w+ ){0,3}"
    r"(?:create|generate|draw|make|produce|complete|perform|provide|display|show|be)|requires? (?:\w+ ){0,3}(?:visual|image))",
    re.IGNORECASE,
)
_FEWEST_DESCRIBING = 12  # words
_SAYS_NOTHING = frozenset(
    unicode_words(
        "here is are this that you your i my me we hope like please see below above a an the of for and it was has have been"
        " made created drawn drawing picture image photo sketch painting video audio illustration logo poster chart graph file"
    )
)
_CODE_TASK = lazy_regex(
    r"\b(?:HTML|CSS|XML|markdown|tags?|code|python|java(?:script)?|C\+\+|SQL|regex|template|LaTeX|file ?name"
    r"|files? (?:names?|extensions?|types?)|rename|director(?:y|ies)|folder|command|notebook|dataset)\b",
    re.IGNORECASE,
)

_VERB = (
    r"(?:draw|paint|sketch|create|generate|design|make|produce|render|construct|build|compose|show|provide|illustrate"
    r"|animate|record|play|develop|prepare|take|capture|display|model|sculpt|craft|construct)"
)
_SIGHT = (
    r"(?:photos?|photographs?|pics?|drawings?|paintings?|illustrations?|logos?|posters?|cartoons?|comic strips?"
    r"|comics?|memes?|gifs?|animations?|infographics?|(?:data )?visuali[sz]ations?|visual representations?|visuals?|"
    r"graphics?|banners?|icons?|artworks?|pieces? of art|collages?|mock-?ups?|3-?D (?:model|render|animation|simulation"
    r"|object|image|print)\w*|(?:pie|bar|line|column|scatter|bubble|area|Gantt|radar|flow)[ -]?(?:charts?|plots?)"
    r"|histograms?|scatter ?plots?|infographic posters?|sound effects?|(?:book|album|magazine) covers?"
    r"|sculptures?|emblems?|wallpapers?|screenshots?|portraits?|floor ?plans?|graphic designs?"
    r"|flyers? designs?|sketch(?:es)?|recordings?|stickers?|mascots?)"
)
_STOPS = (
    r"(?:for|of|to|about|that|on|in|from|with|which|list|lists|title|titles|caption|review|script|idea|ideas|description"
    r"|descriptions|summary|steps|tips|set|name|names|story|poem|biographical|character|verbal|written|text|ascii"
    r"|word|interactive|sentence|paragraph|thumbnail|proposal|plan|outline|code|program|html|css|function|playlist)"
)
_WITHIN = rf"(?:(?!{_STOPS}\b)[\w'’\"“”-]+,?\s+){{0,5}}"
_FOLLOWED = (
    r"(?=\s*$|\s*[.,:;!?(]|\s+(?:for|of|that|which|to|with|about|show\w*|depict\w*|illustrat\w*|represent\w*"
    r"|based|using|used|featur\w*|promot\w*|advertis\w*|on|in|from|called|named|associated|and|or|as|by|inspired|"
    r"designs?|related|display\w*|compar\w*|outlin\w*|summari[sz]\w*|describ\w*|express\w*|design|against|by))"
)
_WISHED = lazy_regex(
    rf"^(?:please |can you |could you |you (?:need|are asked|have) to )?{_VERB}\s+{_WITHIN}{_SIGHT}{_FOLLOWED}",
    re.IGNORECASE,
)
_DRAWN = lazy_regex(
    r"^(?:please )?(?:draw|paint|sketch|colori[sz]e|doodle|photograph|film|animate|sculpt)\s+(?:an?|the|this|your|some"
    r"|two|three|\d+)\b(?!\s+(?:conclusions?|parallels?|comparisons?|distinctions?|lines? between|inferences?|picture with))",
    re.IGNORECASE,
)
_IN_WORDS = lazy_regex(
    r"\b(?:describ\w*|descriptions?|in words|ascii|text-based|textual|html|css|svg|python|matplotlib|java(?:script)?|latex|code"
    r"|program|script|function|react|swift|captions?|titles?|ideas?|prompts?|concepts?|suggest\w*|explain\w*|instructions"
    r"|steps|table|R\b|excel|SQL|app|application|algorithm|using (?:words|text|characters|symbols|emojis?))\b",
    re.IGNORECASE,
)
_WRITTEN_OUT = lazy_regex(
    r"```|^\s*(?:import |from \w+ import|def |<svg|<html|<!DOCTYPE|#include|public class)|plt\.|"
    r"^[ \t]*\|.*\|[ \t]*$|^[\s|+-]*-{3,}[\s|+-]*$|\w[ \t]*\|[ \t]*-?\w|[-=]{2,}>|->|→",
    re.MULTILINE,
)


def may_hold_links(text: str) -> bool:
    """Without running the pattern of a link over every text."""
    return "://" in text or (
        "." in text and ("w." in text or "W." in text or bool(_DOT_TOP.search(text)))
    )


def linked(example: Example) -> str:
    """The link whose content the task needs, or "": one that shows a picture or plays, or that stands almost alone.

    A bare domain is none unless the page has to be looked at: what a well-known site is, is known.
    """
    text = example.input if example.input.strip() else example.instruction
    if not may_hold_links(text):
        return ""
    links = [found.group() for found in LINK.finditer(text)]
    if not links or _ADDRESS.search(example.instruction):
        return ""
    if example.input.strip():
        rest = words(_LABELS.sub(" ", LINK.sub(" ", text)))
        if len(rest) >= _FEWEST_WORDS and not any(map(_SHOWN.search, links)):
            return ""
    elif not _LOOK.search(LINK.sub(" ", text)):
        return ""
    needed = (
        link
        for link in links
        if _SHOWN.search(link)
        or _RESERVED.search(link)
        or is_deep(link)
        or _LOOK.search(example.instruction)
    )
    return next(needed, "")


def is_deep(link: str) -> bool:
    """It leads to a page, not to a site."""
    return bool(re.search(r"(?:/[^/?#]+/[^/?#]+|/[^/?#]{8,})", re.sub(r"^https?://", "", link)))


def attached(example: Example) -> str:
    """The words that stand for a picture, a recording or a document which is not there, or ""."""
    text = example.input.strip()
    if not text:
        return ""
    if "<" in text or "[" in text or "(" in text or "{" in text:
        if found := _IMAGE_MARKUP.search(text):
            return "" if _CODE_TASK.search(example.instruction) else found.group()
        found = _STAND_IN.search(text) or _ATTACHED.fullmatch(text) or _NOT_HERE.fullmatch(text)
    else:
        found = _ATTACHED.fullmatch(text)
    if not found or _CODE_TASK.search(example.instruction):
        return ""
    rest = words(_LABELS.sub(" ", f"{text[: found.start()]} {text[found.end() :]}"))
    return found.group().strip() if len(rest) < _FEWEST_WORDS else ""


def wished(example: Example) -> str:
    """The words that ask for a picture, a drawing or sound, or "".

    Not where the output is code, a table or a drawing in characters, nor where what was asked for is described in prose.
    """
    found = _WISHED.search(example.instruction) or _DRAWN.search(example.instruction)
    if not found or _IN_WORDS.search(example.instruction) or _WRITTEN_OUT.search(example.output):
        return ""
    if _is_drawn(example.output):
        return ""
    return "" if _is_described(example) else found.group()


def _is_drawn(output: str) -> bool:
    """A drawing in characters: two lines or more, hardly a word in them and many signs."""
    lines = [line for line in output.splitlines() if line.strip()]
    signs = sum(not sign.isalnum() and not sign.isspace() for sign in output)
    letters = sum(map(str.isalpha, output))
    return len(lines) >= 2 and signs >= 6 and signs > letters


def _is_described(example: Example) -> bool:
    """Prose says what there is to see or to hear: not only that there is something, or that it cannot be made."""
    prose = _STAND_IN.sub(" ", _IMAGE_MARKUP_WHOLE.sub(" ", example.output))
    if _NOT_MADE.search(prose):
        return False
    asked = _SAYS_NOTHING.union(unicode_words(example.instruction))
    own = [word for word in unicode_words(prose) if word not in asked]
    return word_count(prose) >= _FEWEST_DESCRIBING and len(own) * 2 >= _FEWEST_DESCRIBING
