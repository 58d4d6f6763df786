"""The files of a batch: one line for each request on the way there, one for each answer, in any order, on the way back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.core.outside_numbers import exact_json, whole_number
from alpaca_pipe.teachers.base import Failure, Fatal, SentFields
from alpaca_pipe.teachers.openai.error_mapping import Refused, answered, without_keys
from alpaca_pipe.teachers.openai.gateway_text import refuse_gateway_text
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection

_log = logging.getLogger(__name__)
Outcome = Completion | Failure | Fatal
_EXPIRED = {"batch_expired", "batch_cancelled"}
# Codes of a line without a response that are about this one request: asked again, it would be refused again.
_OF_THE_REQUEST = {
    "content_filter",
    "content_policy_violation",
    "invalid_prompt",
    "invalid_request",
    "invalid_request_error",
    "context_length_exceeded",
    "string_above_max_length",
    "invalid_image",
    "moderation_blocked",
}


def line_of(wire: HttpConnection, request: Request, name: str) -> bytes:
    """A request as a line of a file. name: of its attempt. Fatal for a decoding field that is not taken."""
    line = {
        "custom_id": name,
        "method": "POST",
        "url": f"/v1{wire.dialect.path(wire.model)}",
        "body": wire.body(request),
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


def read(files: Iterable[bytes], names: Mapping[str, int | None], wire: HttpConnection) -> Answers:
    """Output file and error file of a batch in which `names` were asked, each with the most tokens that may come."""
    answers = Answers()
    for line in (line for file in files for line in _lines(file)):
        name, outcome, replied = _read_line(line, names, wire)
        if outcome is None:
            answers.unreadable += 1
        elif name not in names:
            answers.strangers += 1
        elif name in answers.outcomes:
            answers.twice += 1
        else:
            answers.outcomes[name] = outcome
            answers.answered += replied
    return answers


def _read_line(
    line: bytes, names: Mapping[str, int | None], wire: HttpConnection
) -> tuple[str, Outcome | None, bool]:
    """Of a line its name, what it says (None where that cannot be read), and whether a reply was billed. One line that
    breaks every rule takes none of the others with it."""
    try:
        row = exact_json(line)
        name = row["custom_id"]
        if not isinstance(name, str):
            return "", None, False
        return (
            name,
            _outcome(row, names.get(name), wire),
            bool(row.get("response")) and _status(row) == 200,
        )
    except Exception as error:  # noqa: BLE001  whatever it is, it is one line
        _log.debug("a line of a batch cannot be read: %s", type(error).__name__)
        return "", None, False


def _status(row: Mapping[str, Any]) -> int:
    return whole_number(row["response"]["status_code"], most=999)


def _lines(file: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(file):  # not split(): a copy of 200 MB less, and only b"\n" ends a line
        end = file.find(b"\n", start)
        end = len(file) if end < 0 else end
        if file[start:end].strip():
            yield file[start:end]
        start = end + 1


def _outcome(row: Mapping[str, Any], limit: int | None, wire: HttpConnection) -> Outcome:
    """What one line says, as if it had come by itself."""
    response, error = row.get("response"), _error_of(row)
    if not response:
        if str(error.get("code")) in _OF_THE_REQUEST or str(error.get("type")) in _OF_THE_REQUEST:
            return _refused(400, {"error": error}, wire)
        said = without_keys(
            str(error.get("message") or error.get("code") or "no reason is given"), wire.key
        )
        when = "was not reached" if error.get("code") in _EXPIRED else "was not answered"
        return Failure(
            f"a request {when} in its batch: {said}",
            sent="refused",
            retry=True,
            of_the_request=error.get("code") not in _EXPIRED,
        )
    status, body = _status(row), response.get("body")
    if status == 200:
        if not wire.dialect.is_reply(body):
            return Failure(
                "a line of a batch says 200 and holds no reply", sent="unknown", retry=True
            )
        read = wire.dialect.completion(body, "", {}, SentFields(limit))
        try:
            refuse_gateway_text(body, read)
        except Failure as failure:
            return failure
        return read
    return _refused(status, body or {"error": error}, wire)


def _error_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What stands beside a line's response; a text alone is its message."""
    error = row.get("error")
    return error if isinstance(error, Mapping) else {"message": str(error)} if error else {}


def _refused(status: int, body: Any, wire: HttpConnection) -> Outcome:
    text = (body if isinstance(body, str) else json.dumps(body, default=str)).encode()
    failure = wire.learn(answered(status, {}, text, wire.address, wire.model, wire.key, {}))
    if isinstance(failure, Refused):
        return Completion(failure.reason, failure.finish, Usage())
    return failure
