"""Answers as they were scraped from a page: HTML that a browser rendered, turned back into the Markdown that it was."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

_PAGE = re.compile(
    r'<div class="(?:markdown|prose|result-streaming|flex|overflow|bg-black|w-full)', re.IGNORECASE
)
_COPIED = re.compile(r'Copy code</button>|<code class="[^"]*\bhljs\b')
_BLOCK = re.compile(r"\s*<(p|div|ol|ul|pre|h[1-6]|blockquote|table)(?:\s[^>]*)?>", re.IGNORECASE)
_CLOSED = re.compile(r"</(p|div|ol|ul|pre|h[1-6]|blockquote|table)>\s*\Z", re.IGNORECASE)
_A_PAGE_OF_ITS_OWN = re.compile(
    r"<(?:!doctype|html|head|body|script|style|form|input|button|nav)\b|\s(?:style|className|onclick)=",
    re.IGNORECASE,
)
_ABOUT_PAGES = re.compile(
    r"\b(html|css|web ?pages?|web ?sites?|tags?|markup|xml|jsx|javascript|react|vue|email template)\b",
    re.IGNORECASE,
)


# Tags that only show a text, alone or within one that is none of a page's.
_SHOWN = re.compile(
    r"<(?:br|p|div|span|li|h[1-6]|strong|em|b|i|u|hr|sup|sub)\b[^<>]*>", re.IGNORECASE
)
_TAG = re.compile(r"</?([a-z][a-z0-9]*)\b[^<>]*>", re.IGNORECASE)
_SHOW_ONLY = frozenset(
    [
        "br",
        "p",
        "div",
        "span",
        "ul",
        "ol",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "strong",
        "em",
        "b",
        "i",
        "u",
        "hr",
        "sup",
        "sub",
        "a",
    ]
)
_STRAY: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), new)
    for pattern, new in (
        (r"[ \t]*<br\s*/?>[ \t]*\n?", "\n"),
        (r"\s*<hr\s*/?>\s*", "\n\n---\n\n"),
        (r"\s*<li\b[^<>]*>\s*", "\n- "),
        (r"\s*<h([1-6])\b[^<>]*>\s*", "\n\n### "),
        (r"\s*</?(?:p|div|ul|ol|h[1-6])\b[^<>]*>\s*", "\n\n"),
        (r"</?(?:strong|b)>", "**"),
        (r"</?(?:em|i)>", "*"),
        (r"<sup>", "^"),
        (r"<sub>", "_"),
        (r'<a\b[^<>]*\bhref="([^"]*)"[^<>]*>(.*?)</a>', r"[\2](\1)"),
        (r"</?[a-z][a-z0-9]*\b[^<>]*>", ""),
    )
)


# What the page's own buttons left around code: "pythonCopy code" before or after the line that opens it, a count below.
BUTTON = "Copy"
_FENCED = re.compile(
    r"^(`{3,})[ \t]*([\w+#.-]*)[ \t]*\n([\w+#.-]*?)[ \t]*(?:Copy code)+[ \t]*\n?", re.MULTILINE
)
_FENCED_TOGETHER = re.compile(r"^(`{3,})([\w+#.-]*?)(?:Copy code)+[ \t]*\n?", re.MULTILINE)
_COUNTED = re.compile(r"\n*^Copy\d+ chars / \d+ words[ \t]*$", re.MULTILINE)


def without_buttons(text: str) -> str:
    """The text without the words of the buttons that a chat's page shows at its code; the same where it has none."""
    text = _FENCED.sub(lambda found: f"{found[1]}{found[2] or found[3]}\n", text)
    text = _FENCED_TOGETHER.sub(r"\1\2\n", text)
    return _COUNTED.sub("", text)


def has_stray_tags(text: str, asked: str) -> bool:
    """Whether a text has tags that only show it (`<br>`, `<span>`), no code, and nobody speaks of such tags."""
    if "<" not in text or "`" in text or not _SHOWN.search(text):
        return False
    named = {tag.lower() for tag in _TAG.findall(text)}
    return named <= _SHOW_ONLY and not (_ABOUT_PAGES.search(asked) or _ABOUT_PAGES.search(text))


def without_stray_tags(text: str) -> str:
    """The same as Markdown, its other lines as they were."""
    for pattern, new in _STRAY:
        text = pattern.sub(new, text)
    return re.sub(r"\n{3,}", "\n\n", html.unescape(text)).strip()


def is_scraped(text: str, asked: str, spoken: bool) -> bool:
    """Whether an answer is a rendered page's HTML, and nobody asked for HTML. spoken: it was said in a conversation; an
    answer in a column of its own may well be HTML, unless it bears the marks of a chat's page."""
    if "</" not in text:
        return False
    if _PAGE.match(text.lstrip()) or (_BLOCK.match(text) and _COPIED.search(text)):
        return True
    return spoken and bool(
        _BLOCK.match(text)
        and _CLOSED.search(text)
        and not _A_PAGE_OF_ITS_OWN.search(text)
        and not _ABOUT_PAGES.search(asked)
    )


def markdown_of(text: str) -> str:
    """The Markdown of a page's HTML: paragraphs, lists, headings, emphasis, links, tables, code with its language."""
    page = _Page()
    page.feed(text)
    page.close()
    return page.text()


class _Page(HTMLParser):
    """Collects blocks; what stands in <pre> is kept character by character."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._lists: list[int] = []  # number of the next item; 0 in a list without numbers
        self._in_pre = False
        self._code: list[str] = []
        self._language = ""
        self._skipped = 0  # depth inside what a page shows around code
        self._href = ""
        self._cells = 0

    def text(self) -> str:
        joined = "".join(self._out)
        joined = re.sub(r"[ \t]+\n", "\n", joined)
        return re.sub(r"\n{3,}", "\n\n", joined).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if self._in_pre:
            self._inside_pre(tag, given.get("class") or "")
        elif tag == "pre":
            self._in_pre, self._code, self._language = True, [], ""
        elif tag in ("p", "div", "blockquote", "table"):
            self._out.append("" if self._at_item() else "\n\n")
            self._out.append("> " if tag == "blockquote" else "")
        elif tag[0] == "h" and tag[1:].isdigit():
            self._out.append("\n\n" + "#" * int(tag[1:]) + " ")
        elif tag in ("ol", "ul"):
            start = given.get("start") or "1"
            self._out.append("\n" if self._lists else "\n\n")
            self._lists.append((int(start) if start.isdigit() else 1) if tag == "ol" else 0)
        elif tag == "li":
            self._item()
        elif tag in _AROUND or tag in _BEFORE:
            self._out.append(_AROUND.get(tag) or _BEFORE[tag])
        elif tag == "a":
            self._href = given.get("href") or ""
            self._out.append("[" if self._href else "")
        elif tag == "br":
            self._out.append("\n")
        elif tag == "tr":
            self._cells = 0
            self._out.append("\n|")

    def _inside_pre(self, tag: str, classes: str) -> None:
        if found := re.search(r"language-([\w+#-]+)", classes):
            self._language = found[1]
        if tag == "code":
            self._code, self._skipped = [], 0  # what stood before it is the page's own line
        elif tag == "button":
            self._skipped += 1

    def _item(self) -> None:
        depth = "   " * (len(self._lists) - 1)
        number = self._lists[-1] if self._lists else 0
        self._out.append(f"\n{depth}{number}. " if number else f"\n{depth}- ")
        if number:
            self._lists[-1] += 1

    def _at_item(self) -> bool:
        return bool(self._out) and bool(re.search(r"(?:^|\n) *(?:-|\d+\.|>) \Z", self._out[-1]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre" and self._in_pre:
            code = "".join(self._code)
            code = code if code.endswith("\n") else code + "\n"
            fence = "````" if "```" in code else "```"
            self._out.append(f"\n\n{fence}{self._language}\n{code}{fence}\n\n")
            self._in_pre = False
        elif self._in_pre:
            self._skipped -= tag == "button" and self._skipped > 0
        elif tag in ("ol", "ul"):
            if self._lists:
                self._lists.pop()
            self._out.append("" if self._lists else "\n\n")
        elif tag in _AROUND:
            self._out.append(_AROUND[tag])
        elif tag == "a" and self._href:
            self._out.append(f"]({self._href})")
            self._href = ""
        elif tag in ("th", "td"):
            self._cells += 1
            self._out.append(" |")
        elif tag == "thead":
            self._out.append("\n|" + " --- |" * self._cells)
        elif tag in ("p", "div", "blockquote", "table") or (tag[0] == "h" and tag[1:].isdigit()):
            self._out.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._in_pre:
            if not self._skipped:
                self._code.append(data)
        elif data.strip() or (data and self._out and not self._out[-1].endswith("\n")):
            self._out.append(re.sub(r"\s+", " ", data))


_BEFORE = {"sup": "^", "sub": "_"}
_AROUND = {"strong": "**", "b": "**", "em": "*", "i": "*", "code": "`", "del": "~~"}
