"""search_wikipedia: the beginning of the page that fits best, by MediaWiki's own API."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

USUAL = "https://en.wikipedia.org"
ADDRESS = "ALPACA_PIPE_WIKIPEDIA"
_LONGEST = 1200  # characters of a page: a small model's context
_OTHERS = 4  # further pages, by title
_PATIENCE = 20.0  # seconds
_LARGEST = 1 << 20  # bytes of a reply
_AGENT = "alpaca-pipe (search_wikipedia)"  # MediaWiki asks every program to say what it is


class NoPage(ValueError):
    """Nothing was found, or the server did not answer: a part of a sentence."""


def search_wikipedia(query: str) -> str:
    """Searches Wikipedia and reads the beginning of the best page, such as Population of Paris. Raises NoPage."""
    return page_text(query, os.environ.get(ADDRESS) or USUAL)


def page_text(query: str, address: str) -> str:
    """The best page as "Title: text", and the titles of others. address: of a wiki, without /w/api.php."""
    asked = {
        "action": "query",
        "format": "json",
        "formatversion": "2",
        "generator": "search",
        "gsrsearch": query,
        "gsrlimit": str(1 + _OTHERS),
        "prop": "extracts",
        "exintro": "1",
        "explaintext": "1",
        "exlimit": str(1 + _OTHERS),
    }
    found = _asked(f"{address.rstrip('/')}/w/api.php?{urllib.parse.urlencode(asked)}")
    pages = (found.get("query") or {}).get("pages") or []
    pages = sorted((one for one in pages if one.get("extract")), key=lambda one: one["index"])
    if not pages:
        raise NoPage(f"no page was found for {query!r}")
    text = " ".join(str(pages[0]["extract"]).split())
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rpartition(" ")[0] + " ..."
    others = ", ".join(str(one["title"]) for one in pages[1:])
    return f"{pages[0]['title']}: {text}" + (f" (See also: {others})" if others else "")


def _asked(url: str) -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as reply:
            found = json.loads(reply.read(_LARGEST))
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise NoPage(f"the wiki did not answer: {error}") from None
    if not isinstance(found, dict) or "error" in found:
        raise NoPage("the wiki refused the question")
    return found
