"""A file of recorded replies: what a scripted server answers in place of its script.

A line is a reply under the digest of what was asked (see scripted_teacher.recorded), or a whole conversation
`{"messages": [{"role", "content"}, ...]}`: who asks with its beginning, whatever the decoding, is answered with what comes next.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import digest_of, read_jsonl

_FORM = (
    'write {"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}, ...]}, '
    "or a line as a recording has it"
)


class RecordedReplies:
    """by_request: reply as recorded, by the digest of what was asked; by_beginning: what is said next, by the digest of a
    conversation until there."""

    def __init__(self, by_request: dict[str, dict[str, Any]], by_beginning: dict[str, str]) -> None:
        self._by_request, self._by_beginning = by_request, by_beginning

    @staticmethod
    def of_file(path: Path) -> RecordedReplies:
        """UserError where a line is neither form, or says another thing at the same place than an earlier one."""
        by_request: dict[str, dict[str, Any]] = {}
        by_beginning: dict[str, str] = {}
        for number, line in enumerate(read_jsonl(path), 1):
            if isinstance(line, dict) and "asked" in line:
                by_request[line["asked"]] = line
                continue
            turns = _turns(line)
            if turns is None:
                raise UserError(f"{path.name}: line {number} is no recorded reply", _FORM)
            for place, (role, content) in enumerate(turns):
                if role != "assistant":
                    continue
                if by_beginning.setdefault(_beginning(turns[:place]), content) != content:
                    raise UserError(
                        f"{path.name}: line {number} begins like an earlier one, and answers otherwise",
                        "keep one of the two",
                    )
        return RecordedReplies(by_request, by_beginning)

    def whole(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """A reply as it was recorded, with its usage; None where there is none. asked: as `Request.asked()`."""
        return self._by_request.get(digest_of(dict(asked)))

    def next_turn(self, asked: Mapping[str, Any]) -> str | None:
        """What a recorded conversation says next; None where none begins like this."""
        return self._by_beginning.get(_beginning(asked["messages"]))


def _turns(line: Any) -> list[tuple[str, str]] | None:
    messages = line.get("messages") if isinstance(line, dict) else None
    if not isinstance(messages, list) or not messages:
        return None
    turns = [
        (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)
        for one in messages
    ]
    if not all(isinstance(part, str) for turn in turns for part in turn):
        return None
    said = [(str(role), str(content)) for role, content in turns]
    return said if any(role == "assistant" for role, _ in said[1:]) else None


def _beginning(turns: Any) -> str:
    return digest_of([[role, content.strip()] for role, content in turns])
