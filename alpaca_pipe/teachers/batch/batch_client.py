"""The provider's side of batches: its endpoints for files and batches, each call once, its errors in our words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import quote

from alpaca_pipe.core.outside_numbers import BadNumber, exact_json, shown_value, whole_number
from alpaca_pipe.ledger.store.batch_jobs import Intent
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.local.child_process import Child
from alpaca_pipe.teachers.openai.bounded_answer import at_most
from alpaca_pipe.teachers.openai.error_mapping import (
    Refused,
    answered_with_error,
    broken_calls,
    failure_of,
    without_keys,
)
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection

OURS = "alpaca_pipe_intent"  # in a batch's metadata: the intent it was made for
_SLOWEST = 100_000  # bytes a second, of files
_A_PAGE = 100
# Names that a provider gives: they stand in addresses, in the ledger and on the screen.
_NAME = re.compile(r"[\w.:/+=@~-]{1,256}", re.ASCII)
_NAMES = ("id", "status", "input_file_id", "output_file_id", "error_file_id")
_A_REASON = 160  # characters; it stands in sentences that are cut at 300


class NotThere(Exception):
    """The provider knows no such file or batch."""


@dataclass(frozen=True)
class BatchClient:
    """The files and batches of one account. Every call may raise Failure or Fatal; "unknown" where it may have been done."""

    wire: HttpConnection
    child: Child | None = None  # a server of our own

    async def upload(self, name: str, data: bytes) -> str:
        """The id of the new file."""
        said = await self._made(
            "/files",
            body={"purpose": "batch"},
            files=[("file", (name, data, "application/jsonl"))],
            options={"headers": {"Content-Type": "multipart/form-data"}},
            size=len(data),
        )
        return str(said["id"])

    async def create(self, file: str, window: str, intent: Intent) -> dict[str, Any]:
        """The new batch, marked with our intent."""
        return await self._made(
            "/batches",
            body={
                "input_file_id": file,
                "endpoint": f"/v1{self.wire.dialect.path(self.wire.model)}",
                "completion_window": window,
                "metadata": {OURS: intent.id},
            },
        )

    async def look(self, batch: str) -> dict[str, Any]:
        """The batch as it is now. NotThere."""
        return await self._json("get", f"/batches/{quote(batch, safe='')}")

    async def cancel(self, batch: str) -> None:
        """Asks it to end; what is finished is kept. NotThere."""
        await self._json("post", f"/batches/{quote(batch, safe='')}/cancel")

    async def find(self, intent: Intent) -> dict[str, Any] | None:
        """The batch that was made for an intent, by our mark or by its file; None if the provider's list has none."""
        after, seen = "", set[str]()
        while after not in seen:  # the whole list: nobody promises its order
            seen.add(after)
            page = await self._made(
                f"/batches?limit={_A_PAGE}" + (f"&after={quote(after, safe='')}" if after else ""),
                "get",
            )
            for batch in _listed(page):
                metadata = batch.get("metadata")
                marked = isinstance(metadata, dict) and metadata.get(OURS) == intent.id
                if marked or (intent.file and batch.get("input_file_id") == intent.file):
                    return dict(batch)
                after = batch["id"]
            if not page.get("has_more"):
                break
        return None

    async def files_named(self, name: str) -> list[str]:
        """Ids of the files of that name; of the newest page only."""
        page = await self._made("/files?purpose=batch", "get")
        return [file["id"] for file in _listed(page) if file.get("filename") == name]

    async def content(self, file: str, most: int) -> bytes:
        """A file, whole; of at most so many bytes, or EndlessAnswer. NotThere."""
        options = {"follow_redirects": True}  # to where the provider stores it
        with at_most(most):
            response = await self._call(
                "get", f"/files/{quote(file, safe='')}/content", most, options=options
            )
        content = bytes(response.content)
        if content.lstrip()[:9].startswith(b'{"error"'):  # in place of lines
            raise self._no_reply(response, _as_json(content))
        return content

    async def delete(self, file: str) -> None:
        """NotThere, which is as good."""
        await self._call("delete", f"/files/{quote(file, safe='')}")

    async def _made(self, path: str, method: str = "post", **sent: Any) -> dict[str, Any]:
        """Of a path that every provider of batches has: 404 there is the provider's, not a batch's."""
        try:
            return await self._json(method, path, **sent)
        except NotThere:
            raise Fatal(
                f"{self.wire.address} knows neither files nor batches (404 at {path})",
                "use kind: openai_chat",
            ) from None

    async def _json(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        response = await self._call(method, path, **sent)
        said = _as_json(response.content)
        if not _is_one(said) or not (said.get("id") or "data" in said):
            raise self._no_reply(response, said)
        return said

    def _no_reply(self, response: Any, said: Any) -> Failure | Fatal:
        """What to raise for a 200 that is not what was asked for: an error in its place is that error."""
        wire = self.wire
        failure = answered_with_error(
            said, response.headers, wire.address, wire.model, wire.key, {}
        )
        if isinstance(failure, Fatal):
            return failure
        what = str(failure) if failure else "with something that is no reply"
        return Failure(
            what if failure else f"{wire.address} answered {response.status_code} {what}",
            sent="unknown",
            retry=True,
            of_the_request=failure is not None,
        )

    async def _call(self, method: str, path: str, size: int = 0, **sent: Any) -> Any:
        """size: bytes that are sent or may come."""
        import httpx2
        from openai import APIStatusError

        within = self.wire.timeout + size / _SLOWEST
        try:
            async with asyncio.timeout(within):  # the client's own is between two signs of life
                call = getattr(self.wire.client, method)
                return await call(path, cast_to=httpx2.Response, **sent)
        except TimeoutError:
            raise Failure(
                f"{self.wire.address} did not answer within {within:.0f} s",
                sent="unknown",
                retry=True,
            ) from None
        except broken_calls() as error:
            status = error.status_code if isinstance(error, APIStatusError) else None
            if status == 404:
                raise NotThere from None
            failure = failure_of(error, self.wire.address, self.wire.model, self.wire.key)
        if isinstance(failure, Refused):
            raise Fatal(
                f"{self.wire.address} does not take the batch ({status}): {failure.reason}",
                "mend what it names, or use kind: openai_chat",
            ) from None
        if (
            isinstance(failure, Failure)
            and failure.sent != "refused"
            and self.child
            and await self.child.gone(within=1.0)
        ):
            raise self.child.obituary() from None
        if isinstance(failure, Failure) and status is not None and status >= 500:
            failure.sent = (
                "unknown"  # a reply that cost nothing, but here: a batch that may have been made
            )
        raise failure from None


def _as_json(content: bytes) -> Any:
    try:
        return exact_json(content)
    except ValueError:
        return None


def _is_one(said: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a file, a batch or a page has its names as names."""
    return isinstance(said, dict) and all(
        said.get(name) is None or isinstance(said[name], str) and _NAME.fullmatch(said[name])
        for name in _NAMES
    )


def _listed(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a page that have an id."""
    data = page.get("data")
    entries = data if isinstance(data, list) else []
    return [entry for entry in entries if _is_one(entry) and entry.get("id")]


def counts(batch: Mapping[str, Any]) -> tuple[int, int, int]:
    """Requests of a batch in all, answered, failed; 0 where it does not say."""
    said = batch.get("request_counts")
    return (_count(said, "total"), _count(said, "completed"), _count(said, "failed"))


def _count(said: Any, name: str) -> int:
    try:
        return whole_number(said[name]) if isinstance(said, dict) and said.get(name) else 0
    except BadNumber:
        return 0


def why_failed(batch: Mapping[str, Any], key: str = "") -> tuple[str, set[str]]:
    """What the provider found wrong with a batch as a whole: its first sentence, in which no key stands, and its codes."""
    said = batch.get("errors")
    listed = said.get("data") if isinstance(said, dict) else None
    errors = (
        [error for error in listed if isinstance(error, dict)] if isinstance(listed, list) else []
    )
    first = errors[0] if errors else {}
    line = f"line {shown_value(first['line'])}: " if first.get("line") else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    reason = without_keys(str(first.get("message") or "it gives no reason"), key)[:_A_REASON]
    return without_keys(f"{line}{reason}{more}"), {str(error.get("code")) for error in errors}
