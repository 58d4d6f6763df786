"""E-mail addresses and telephone numbers that may be somebody's."""

from __future__ import annotations

import re
from itertools import pairwise

from alpaca_pipe.core.lazy_regex import lazy_regex

_MAIL = lazy_regex(r"(?<![\w.+-])([A-Za-z0-9][\w.+-]{2,})@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24})\b")
# RFC 2606 keeps these for examples; email.com and its like are used as such.
_NOBODYS = lazy_regex(
    r"(?:^|\.)(?:example\d*|e?mail|domain|company|yourcompany|somecompany|test|website|yourdomain|abc|xyz|acme)"
    r"\.[a-z.]+$|\.(?:example|test|invalid|localhost)$",
    re.IGNORECASE,
)
# RFC 2142's mailboxes for a role, others as common, and stand-ins for a name.
_ROLE = lazy_regex(
    r"(?:info|marketing|sales|support|abuse|noc|security|post|host|web|admin|administrator|webmaster|hostmaster|postmaster"
    r"|contact|help|helpdesk|hr|jobs|careers|office|press|media|news|newsletter|billing|service|customer\W?\w*|no\W?reply"
    r"|do\W?not\W?reply|alerts?|offers?|notifications?|orders?|team|hello|feedback|enquir\w+|inquir\w+|reservations?"
    r"|(?:my|your|some|user|e?mail|name|first|last|test|example|sample|sender|receiver|recipient|abc|xyz|foo|bar)\w*\W?\w*)\d*",
    re.IGNORECASE,
)
_PHONE = lazy_regex(
    r"(?<![\w.,/$€£:+-])(?:\+?1[\s.-]?)?(?:\((?P<a>\d{3})\)\s?|(?P<b>\d{3})[\s.-])(?P<c>\d{3})[\s.-](?P<d>\d{4})(?![\w/-]|\.\d)"
)
_ENDS = lazy_regex(r"\d{3}[\s.-]\d{4}")
_ABROAD = lazy_regex(
    r"(?<![\w.,/$€£:+-])\+(?!1\b)(?P<digits>\d{1,3}(?:[\s.()-]{1,2}\d{1,4}){2,5})(?![\w/-]|\.\d)"
)
_FREE = {"800", "833", "844", "855", "866", "877", "888", "900"}  # firms' lines


def contact(text: str) -> str:
    """The first address or number that may be a person's, or "".

    Not: addresses kept for examples or for a role, numbers that no exchange gives out (North American plan: area and
    exchange begin with 2 to 9, 555 is fiction's), free lines, and digits in a row (234-567-8901).
    """
    for found in _MAIL.finditer(text) if "@" in text else ():
        if not _NOBODYS.search(found[2]) and not _ROLE.fullmatch(found[1]):
            return found.group()
    for found in _PHONE.finditer(text) if _ENDS.search(text) else ():
        area, exchange = found["a"] or found["b"], found["c"]
        if (
            area[0] in "23456789"
            and exchange[0] in "23456789"
            and "555" not in (area, exchange)
            and area not in _FREE
            and not _in_a_row(area + exchange + found["d"])
        ):
            return found.group().strip()
    for found in _ABROAD.finditer(text) if "+" in text else ():
        digits = re.sub(r"\D", "", found["digits"])
        if 9 <= len(digits) <= 15 and not _in_a_row(digits):
            return found.group().strip()
    return ""


def _in_a_row(digits: str) -> bool:
    """Five or more digits that are the same, or count up or down: nobody's number."""
    steps = [(int(b) - int(a)) % 10 for a, b in pairwise(digits)]
    return any(
        len(set(steps[at : at + 4])) == 1 and steps[at] in (0, 1, 9) for at in range(len(steps) - 3)
    )
