"""The hub's silence in one line: its client repeats each request five times, and prints every one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alpaca_pipe.core.screen import echo


def _on_the_screen(sentence: str) -> None:
    echo(sentence, err=True)


@contextmanager
def repeats_told(say: Callable[[str], None] = _on_the_screen) -> Iterator[None]:
    """The hub's client warns twice of each attempt that fails; here once of them all."""
    told: list[str] = []

    def once(record: logging.LogRecord) -> bool:
        if not told:
            told.append(record.getMessage())
            say("the hub does not answer yet; it is asked again for up to half a minute")
        return False

    client = logging.getLogger("huggingface_hub.utils._http")
    client.addFilter(once)
    try:
        yield
    finally:
        client.removeFilter(once)
