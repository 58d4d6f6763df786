"""Tasks about what a text model can neither see nor make."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.curate.filters.base import row_filter, shortened


@row_filter(order=150)
def hidden_link(example: Example) -> str | None:
    """The task is about the content of a link, which a text model cannot open."""
    from alpaca_pipe.curate.detectors.missing_media import linked

    link = shortened(linked(example))
    return f"what lies behind '{link}' is not here" if link else None


@row_filter(order=160)
def attachment(example: Example) -> str | None:
    """The input refers to a picture, a recording or a document that is not there."""
    from alpaca_pipe.curate.detectors.missing_media import attached

    words = shortened(attached(example))
    return f"the input says '{words}', which is not here" if words else None


@row_filter(order=170)
def media_request(example: Example) -> str | None:
    """Asks for a picture, a drawing or sound, and gets neither its description in prose nor its code nor a drawing in
    characters."""
    from alpaca_pipe.curate.detectors.missing_media import wished

    words = shortened(wished(example))
    return f"the instruction says '{words}', which a text model cannot make" if words else None


@row_filter(order=174)
def media_answer(example: Example) -> str | None:
    """The output is only a picture, a sound, a tag or invented links."""
    from alpaca_pipe.curate.detectors.media_answers import only_media

    words = shortened(only_media(example))
    return f"the output is only '{words}', which nobody can open" if words else None
