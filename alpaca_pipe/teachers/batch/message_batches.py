"""Anthropic's Message Batches as files and batches: requests in one call, answers as lines; no file, and no mark of ours.

As the SDK `anthropic` 2.14.0 has them. A batch whose creation was not answered is known by its size and its time alone, and nothing
can keep a late one from being made: where none is found, its requests count as lost until they are reconciled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from alpaca_pipe.ledger.store.batch_jobs import Intent
from alpaca_pipe.teachers.base import Failure
from alpaca_pipe.teachers.batch.batch_client import BatchClient, counted

_PATH = "/messages/batches"
_A_PAGE = 1000
_CLOCKS = timedelta(seconds=30)  # by which the provider's may be behind ours
_STATUS = {"in_progress": "in_progress", "canceling": "cancelling"}
_CODES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}


@dataclass(frozen=True)
class MessageBatches(BatchClient):
    """See BatchClient: the same calls, in the words of another provider."""

    _held: dict[str, bytes] = field(default_factory=dict)  # lines that are not handed in yet
    _known: set[str] = field(default_factory=set)  # batches that have an intent already
    guesses: ClassVar[bool] = True

    async def upload(self, name: str, data: bytes) -> str:
        """There are no files: the lines go with the batch."""
        self._held[name] = data
        return name

    async def create(self, file: str, window: str, intent: Intent) -> dict[str, Any]:
        lines = [json.loads(line) for line in self._held[file].splitlines()]
        requests = [
            {"custom_id": _there(line["custom_id"]), "params": line["body"]} for line in lines
        ]
        made = await self._made(_PATH, asked={"requests": requests})
        del self._held[file]
        return self._as_ours(made)

    async def look(self, batch: str) -> dict[str, Any]:
        return self._as_ours(await self._json("GET", f"{_PATH}/{quote(batch, safe='')}"))

    async def cancel(self, batch: str) -> None:
        await self._json("POST", f"{_PATH}/{quote(batch, safe='')}/cancel")

    async def find(
        self, intent: Intent, taken: Callable[[str], bool] = lambda batch: False
    ) -> dict[str, Any] | None:
        """The one batch of its size that was made since, and that is nobody else's; None where that is not one."""
        size = self._held.get(intent.file, b"").count(b"\n")
        since, after, found = (
            datetime.fromisoformat(intent.at) - _CLOCKS,
            "",
            list[dict[str, Any]](),
        )
        while size:
            page = await self._made(
                f"{_PATH}?limit={_A_PAGE}"
                + (f"&after_id={quote(after, safe='')}" if after else ""),
                "GET",
            )
            rows = [
                row for row in page.get("data") or () if isinstance(row, dict) and row.get("id")
            ]
            young = [row for row in rows if _made_at(row) >= since]
            found += [
                row
                for row in young
                if _size(row) == size and row["id"] not in self._known and not taken(str(row["id"]))
            ]
            if len(young) < len(rows) or not rows or not page.get("has_more"):
                break  # newest first
            after = rows[-1]["id"]
        return self._as_ours(found[0]) if len(found) == 1 else None

    async def files_named(self, name: str) -> list[str]:
        return []

    async def content(self, file: str, most: int) -> bytes:
        """The answers as lines of an output file."""
        path = f"{_PATH}/{quote(file, safe='')}/results"
        answer = await self._call("GET", path, most, most=most, stored=True)
        return b"".join(_lines(answer.content))

    async def delete(self, file: str) -> None:
        """Nothing is there to be taken away, so a creation that is still on its way cannot be kept from happening."""
        self._held.pop(file, None)
        raise Failure(f"{self.wire.address} has no files", sent="no", retry=False)

    def _as_ours(self, said: Mapping[str, Any]) -> dict[str, Any]:
        self._known.add(str(said["id"]))
        counts = said.get("request_counts")
        done, failed, gone, late = (
            counted(counts, name) for name in ("succeeded", "errored", "canceled", "expired")
        )
        ended = "cancelled" if gone else "expired" if late else "completed"
        there = said["id"] if said.get("results_url") else None
        return {
            "id": said["id"],
            "status": _STATUS.get(str(said.get("processing_status")), ended),
            "output_file_id": there,
            "request_counts": {"total": _size(said), "completed": done, "failed": failed},
        }


def _there(name: str) -> str:
    """An attempt's name as a custom_id, which may hold no dots."""
    return name.replace(".", "_")


def _size(said: Mapping[str, Any]) -> int:
    counts = said.get("request_counts")
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    return sum(counted(counts, name) for name in names)


def _made_at(said: Mapping[str, Any]) -> datetime:
    """As late as can be where it does not say: it is looked at."""
    try:
        return datetime.fromisoformat(str(said.get("created_at")))
    except ValueError:
        return datetime.max.replace(tzinfo=datetime.now().astimezone().tzinfo)


def _lines(content: bytes) -> Iterator[bytes]:
    """Each line as OpenAI would write it; one that cannot be read stays as it is, and is counted as such."""
    for line in content.splitlines():
        try:
            said = json.loads(line)
            row = {"custom_id": said["custom_id"].replace("_", "."), **_outcome(said["result"])}
            yield json.dumps(row).encode() + b"\n"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield line + b"\n"


def _outcome(result: Mapping[str, Any]) -> dict[str, Any]:
    match result.get("type"):
        case "succeeded":
            return {"response": {"status_code": 200, "body": result["message"]}, "error": None}
        case "errored":
            error = result.get("error") or {}
            inner = error.get("error", error)
            status = _CODES.get(str(inner.get("type")), 500)
            return {"response": {"status_code": status, "body": {"error": inner}}, "error": None}
        case "canceled":
            return {"response": None, "error": {"code": "batch_cancelled"}}
        case _:
            return {"response": None, "error": {"code": "batch_expired"}}
