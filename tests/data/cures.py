"""The option that a sentence prints, as a shell would take it."""

from __future__ import annotations

import shlex


def printed_columns(said: str) -> str:
    """What stands behind the first `--columns` of an error, "" where there is none."""
    _, sign, rest = said.partition("--columns ")
    if not sign:
        return ""
    words = shlex.shlex(rest, posix=True)
    words.whitespace_split, words.commenters = True, ""
    return (words.get_token() or "").rstrip(",)")
