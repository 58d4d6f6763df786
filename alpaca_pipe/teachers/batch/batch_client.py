"""The provider's side of batches: its endpoints for files and batches, each call once, its errors in our words."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard
from urllib.parse import quote

from alpaca_pipe.core.outside_numbers import BadNumber, exact_json, shown_value, whole_number
from alpaca_pipe.ledger.store.batch_jobs import Intent
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.local.child_process import Child
from alpaca_pipe.teachers.openai.bounded_answer import A_LIST
from alpaca_pipe.teachers.openai.error_mapping import (
    Refused,
    answered_with_error,
    unanswered,
    without_keys,
)
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.openai.http_client import JSON, WholeAnswer

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
    guesses: ClassVar[bool] = False  # whether a batch that `find` brings may be another's

    async def upload(self, name: str, data: bytes) -> str:
        """The id of the new file."""
        import aiohttp

        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", io.BytesIO(data), filename=name, content_type="application/jsonl")
        said = await self._made("/files", form=form, size=len(data))
        return str(said["id"])

    async def create(self, file: str, window: str, intent: Intent) -> dict[str, Any]:
        """The new batch, marked with our intent."""
        return await self._made(
            "/batches",
            asked={
                "input_file_id": file,
                "endpoint": f"/v1{self.wire.dialect.path(self.wire.model)}",
                "completion_window": window,
                "metadata": {OURS: intent.id},
            },
        )

    async def look(self, batch: str) -> dict[str, Any]:
        """The batch as it is now. NotThere."""
        return await self._json("GET", f"/batches/{quote(batch, safe='')}")

    async def cancel(self, batch: str) -> None:
        """Asks it to end; what is finished is kept. NotThere."""
        await self._json("POST", f"/batches/{quote(batch, safe='')}/cancel")

    async def find(
        self, intent: Intent, taken: Callable[[str], bool] = lambda batch: False
    ) -> dict[str, Any] | None:
        """The batch that was made for an intent, by our mark or by its file; None if the provider's list has none.
        taken: whether a batch of that id is in our books already, of another intent."""
        after, seen = "", set[str]()
        while after not in seen:  # the whole list: nobody promises its order
            seen.add(after)
            page = await self._made(
                f"/batches?limit={_A_PAGE}" + (f"&after={quote(after, safe='')}" if after else ""),
                "GET",
            )
            for batch in _listed(page):
                metadata = batch.get("metadata")
                marked = isinstance(metadata, dict) and metadata.get(OURS) == intent.id
                ours = marked or (intent.file and batch.get("input_file_id") == intent.file)
                if ours and not taken(str(batch["id"])):
                    return dict(batch)
                after = batch["id"]
            if not page.get("has_more"):
                break
        return None

    async def files_named(self, name: str) -> list[str]:
        """Ids of the files of that name; of the newest page only."""
        page = await self._made("/files?purpose=batch", "GET")
        return [file["id"] for file in _listed(page) if file.get("filename") == name]

    async def content(self, file: str, most: int) -> bytes:
        """A file, whole; of at most so many bytes, or EndlessAnswer. NotThere."""
        answer = await self._call(
            "GET", f"/files/{quote(file, safe='')}/content", most, most=most, stored=True
        )
        if answer.content.lstrip()[:9].startswith(b'{"error"'):  # in place of lines
            raise self._no_reply(answer, _as_json(answer.content))
        return answer.content

    async def delete(self, file: str) -> None:
        """NotThere, which is as good."""
        await self._call("DELETE", f"/files/{quote(file, safe='')}")

    async def _made(self, path: str, method: str = "POST", **sent: Any) -> dict[str, Any]:
        """Of a path that every provider of batches has: 404 there is the provider's, not a batch's."""
        try:
            return await self._json(method, path, **sent)
        except NotThere:
            raise Fatal(
                f"{self.wire.address} knows neither files nor batches (404 at {path})",
                "use kind: openai_chat",
            ) from None

    async def _json(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        answer = await self._call(method, path, **sent)
        said = _as_json(answer.content)
        if not _is_one(said) or not (said.get("id") or "data" in said):
            raise self._no_reply(answer, said)
        return said

    def _no_reply(self, answer: WholeAnswer, said: Any) -> Failure | Fatal:
        """What to raise for a 200 that is not what was asked for: an error in its place is that error."""
        wire = self.wire
        failure = answered_with_error(said, answer.headers, wire.address, wire.model, wire.key, {})
        if isinstance(failure, Fatal):
            return failure
        what = str(failure) if failure else "with something that is not a reply"
        return Failure(
            what if failure else f"{wire.address} answered {answer.status} {what}",
            sent="unknown",
            retry=True,
            of_the_request=failure is not None,
        )

    async def _call(
        self,
        method: str,
        path: str,
        size: int = 0,
        *,
        asked: Mapping[str, Any] | None = None,
        form: Any = None,
        most: int = A_LIST,
        stored: bool = False,
    ) -> WholeAnswer:
        """size: bytes that are sent or may come.  asked: sent as JSON.  most: bytes of the answer.  stored: the provider may
        keep it at another address."""
        import aiohttp

        wire, body, headers = self.wire, form, self.wire.headers.copy()
        if asked is not None:
            headers["Content-Type"], body = JSON, json.dumps(asked).encode()
        url, status = wire.address + path, 0
        within = wire.timeout + size / _SLOWEST
        failure: Failure | Fatal | Refused
        try:
            async with asyncio.timeout(within):  # the client's own is between two signs of life
                if stored:
                    answer = await wire.client.download(url, headers, most)
                else:
                    answer = await wire.client.send(method, url, headers, most, body)
        except (aiohttp.ClientError, ValueError) as error:
            failure = unanswered(error, wire.address)
        except TimeoutError:
            raise Failure(
                f"{wire.address} did not answer within {within:.0f} s", sent="unknown", retry=True
            ) from None
        else:
            status = answer.status
            if status < 300:
                return answer
            if status == 404:
                raise NotThere
            failure = wire.explained(answer)
        raise await self._in_our_words(failure, status)

    async def _in_our_words(
        self, failure: Failure | Fatal | Refused, status: int
    ) -> Failure | Fatal:
        """Of a call about files and batches, which is not a request. status: 0 where none came."""
        if isinstance(failure, Refused):
            return Fatal(
                f"{self.wire.address} does not take the batch ({status}): {failure.reason}",
                "fix what it names, or use kind: openai_chat",
            )
        if (
            isinstance(failure, Failure)
            and failure.sent != "refused"
            and self.child
            and await self.child.gone(within=1.0)
        ):
            return self.child.obituary()
        if isinstance(failure, Failure) and status >= 500:
            # a reply that cost nothing, but here: a batch that may have been made
            failure.sent = "unknown"
        return failure


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
    return (counted(said, "total"), counted(said, "completed"), counted(said, "failed"))


def counted(said: Any, name: str) -> int:
    """One of its figures; 0 where it is none."""
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
