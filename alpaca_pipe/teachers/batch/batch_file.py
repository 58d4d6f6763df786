"""The files of a batch: one line for each request on the way there, one for each answer, in any order, on the way back."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.openai.error_mapping import Refused, answered, without_keys
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection, is_reply
from alpaca_pipe.teachers.openai.openai_chat import asked_of, completion_of
from alpaca_pipe.teachers.openai.usage import exact_json

Outcome = Completion | Failure | Fatal
_EXPIRED = {"batch_expired", "batch_cancelled"}


def line_of(wire: HttpConnection, request: Request, name: str) -> bytes:
    """A request as a line of a file. name: of its attempt. Fatal for a decoding field that is not taken."""
    line = {
        "custom_id": name,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": wire.body(request, asked_of(request)),
    }
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass
class Answers:
    """What came back of a batch, by the names of its attempts; the first line of a name counts."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    answered: int = 0  # of them, those with a reply, which is billed
    twice: int = 0
    strangers: int = 0  # lines that nobody asked for
    unreadable: int = 0

    def oddities(self) -> str:
        """What was wrong with the files, as a sentence; "" where nothing was."""
        said = [
            f"{count} {what}"
            for count, what in (
                (self.twice, "lines came again, and the first of each counts"),
                (self.strangers, "lines answer nothing that was asked"),
                (self.unreadable, "lines cannot be read"),
            )
            if count
        ]
        return "; ".join(said)


def read(files: Iterable[bytes], names: Collection[str], wire: HttpConnection) -> Answers:
    """Output file and error file of a batch in which `names` were asked."""
    answers = Answers()
    for line in (line for file in files for line in _lines(file)):
        try:
            row = exact_json(line)
            name, outcome = row["custom_id"], _outcome(row, wire)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            answers.unreadable += 1
            continue
        if name not in names:
            answers.strangers += 1
        elif name in answers.outcomes:
            answers.twice += 1
        else:
            answers.outcomes[name] = outcome
            answers.answered += (
                bool(row.get("response")) and int(row["response"]["status_code"]) == 200
            )
    return answers


def _lines(file: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(file):  # not split(): a copy of 200 MB less, and only b"\n" ends a line
        end = file.find(b"\n", start)
        end = len(file) if end < 0 else end
        if file[start:end].strip():
            yield file[start:end]
        start = end + 1


def _outcome(row: Mapping[str, Any], wire: HttpConnection) -> Outcome:
    """What one line says, as if it had come by itself."""
    response = row.get("response")
    if not response:
        error = row.get("error") or {}
        said = without_keys(
            str(error.get("message") or error.get("code") or "no reason is given"), wire.key
        )
        when = "was not reached" if error.get("code") in _EXPIRED else "was not answered"
        return Failure(f"a request {when} in its batch: {said}", sent="refused", retry=True)
    status, body = int(response["status_code"]), response.get("body")
    if status == 200:
        if not is_reply(body):
            return Failure(
                "a line of a batch says 200 and holds no reply", sent="unknown", retry=True
            )
        return completion_of(body, "")
    text = (body if isinstance(body, str) else json.dumps(body, default=str)).encode()
    failure = answered(status, {}, text, wire.address, wire.model, wire.key, {})
    if isinstance(failure, Refused):
        return Completion(failure.reason, failure.finish, Usage())
    return failure
