"""Tasks about what a text model can neither see nor make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_module import lazy_module
from alpaca_pipe.curate.filters.base import row_filter, shortened

if TYPE_CHECKING:
    from alpaca_pipe.curate.detectors import media_answers, missing_media
else:
    media_answers = lazy_module("alpaca_pipe.curate.detectors.media_answers")
    missing_media = lazy_module("alpaca_pipe.curate.detectors.missing_media")


@row_filter(order=150)
def hidden_link(example: Example) -> str | None:
    """The task is about the content of a link, which a text model cannot open."""
    link = missing_media.linked(example)
    return f"what lies behind '{shortened(link)}' is not here" if link else None


@row_filter(order=160)
def attachment(example: Example) -> str | None:
    """The input refers to a picture, a recording or a document that is not there."""
    words = missing_media.attached(example)
    return f"the input says '{shortened(words)}', which is not here" if words else None


@row_filter(order=170)
def media_request(example: Example) -> str | None:
    """Asks for a picture, a drawing or sound, and gets neither its description in prose nor its code nor a drawing in
    characters."""
    words = missing_media.wished(example)
    return (
        f"the instruction says '{shortened(words)}', which a text model cannot make"
        if words
        else None
    )


@row_filter(order=174)
def media_answer(example: Example) -> str | None:
    """The output is only a picture, a sound, a tag or invented links."""
    words = media_answers.only_media(example)
    return f"the output is only '{shortened(words)}', which nobody can open" if words else None
