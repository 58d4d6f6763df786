"""Addresses and numbers of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import pii, texts
else:
    pii = lazy_module("alpaca_pipe.curate.detectors.pii")
    texts = lazy_module("alpaca_pipe.curate.detectors.texts")


@row_filter(order=230, looks_at="row")
def personal_data(example: Example, rows: Literal["foreign", "all"] = "foreign") -> str | None:
    """An e-mail address or a telephone number that may be somebody's. foreign: in rows that were imported or made from
    documents; what a teacher invents is no one's."""
    if (
        rows == "foreign"
        and example.origin.kind != "imported"
        and "document" not in example.origin.details
    ):
        return None
    look = texts.first_look(example)
    if not (look.may_hold_telephone or "@" in look.text or "+" in look.text):
        return None
    for name, text in texts.texts_of(example):
        if found := pii.contact(text):
            return f"the {name} holds {'an e-mail address' if '@' in found else 'a telephone number'} that may be somebody's"
    return None
