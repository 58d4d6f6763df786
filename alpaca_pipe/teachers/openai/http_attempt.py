"""One HTTP attempt in any dialect: the request, and what an answer that is no reply means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.outside_numbers import exact_json
from alpaca_pipe.teachers.base import NO_FIELDS, Dialect, Failure, Fatal, SentFields
from alpaca_pipe.teachers.openai.bounded_answer import A_LIST, bytes_of_reply
from alpaca_pipe.teachers.openai.error_mapping import (
    Refused,
    Renamed,
    answered,
    answered_with_error,
    unanswered,
)
from alpaca_pipe.teachers.openai.event_stream import is_stream, whole_reply
from alpaca_pipe.teachers.openai.http_client import JSON, HttpClient, WholeAnswer

if TYPE_CHECKING:
    from multidict import CIMultiDict

# Which draw of one question this is; servers ignore it, our scripted one answers by it.
DRAW = "X-Draw"
NAME = "X-Client-Request-Id"  # OpenAI keeps it in its logs


@dataclass(frozen=True)
class Reply:
    """What came back: the reply's JSON, its numbers exact, and the headers about rate limits."""

    json: dict[str, Any]
    limits: Mapping[str, str]
    sent: SentFields = NO_FIELDS


@dataclass(frozen=True)
class HttpConnection:
    """An open connection. `post` is one attempt: retries that the ledger does not see would escape it."""

    client: HttpClient
    address: str
    model: str
    key: str
    timeout: float  # seconds for a whole attempt
    takes: frozenset[str]  # decoding fields that the teacher takes
    dialect: Dialect
    drop: bool = (
        False  # leave out a field that it does not take, where otherwise that stops the run
    )
    renamed: Mapping[str, str] = field(
        default_factory=dict
    )  # decoding fields that go by another name there
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    alternatives: int = 0  # of each token, to be told with their log probabilities
    learned: dict[str, str] = field(
        default_factory=dict
    )  # names that the server itself has asked for

    async def post(self, request: Request, name: str = "") -> Reply:
        """name: of this attempt. Raises Refused, Failure or Fatal."""
        import aiohttp

        headers = self.headers.copy()
        headers["Content-Type"] = JSON
        headers[DRAW] = str(request.sample)
        if name:
            headers[NAME] = name
        body = {**self.dialect.online, **self.body(request)}
        data = json.dumps(body, separators=(",", ":")).encode()
        most = bytes_of_reply(request, self.sized_by)
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self.client.send("POST", self._url, headers, most, data)
        except (aiohttp.ClientError, ValueError) as error:  # some time-outs of aiohttp's too
            raise unanswered(error, self.address) from None
        except TimeoutError:
            raise Failure(
                f"{self.address} did not answer within {self.timeout:g} s",
                sent="unknown",
                retry=True,
            ) from None
        limits = {name: value for name, value in answer.headers.items() if "imit" in name}
        if answer.status >= 300:
            raise self.learn(self.explained(answer, limits))
        return Reply(self._read(answer, limits), limits, SentFields.of(body))

    def explained(
        self, answer: WholeAnswer, limits: Mapping[str, str] = {}
    ) -> Failure | Fatal | Refused:
        """What to raise for an answer that is no 2xx."""
        return answered(*answer, self.address, self.model, self.key, limits)

    def _read(self, answer: WholeAnswer, limits: Mapping[str, str]) -> dict[str, Any]:
        """The JSON of a reply, in pieces or whole. Raises Refused, Failure or Fatal."""
        streams = is_stream(answer.content, answer.headers.get("content-type", ""))
        try:
            reply = whole_reply(answer.content) if streams else exact_json(answer.content)
        except ValueError:
            reply = None
        if self.dialect.is_reply(reply):
            assert reply is not None
            return reply
        failure = answered_with_error(
            reply, answer.headers, self.address, self.model, self.key, limits
        )
        if failure is not None:
            raise failure
        what = (
            "a stream, which was not asked for and is not a whole reply"
            if streams
            else "something that is not a reply"
        )
        raise Failure(
            f"{self.address} answered {answer.status} with {what}",
            sent="unknown",
            retry=True,
            limits=limits,
            of_the_request=True,
        )

    def learn(self, failure: Failure | Fatal | Refused) -> Failure | Fatal | Refused:
        """A field that the server wants under another name goes by that name from here on."""
        if isinstance(failure, Renamed):
            self.learned.setdefault(failure.field, failure.name)
        return failure

    @property
    def sized_by(self) -> Mapping[str, Any]:
        """Beside a request's own fields, those by which its answer grows."""
        told = {"top_logprobs": self.alternatives} if self.alternatives else {}
        return {**self.extra_body, **told}

    def _called(self, name: str) -> str:
        """A decoding field as the server knows it."""
        there = self.renamed.get(name, name)
        return self.learned.get(there, there)

    async def models(self) -> list[dict[str, Any]]:
        """What the endpoint lists as its models; [] where that is no list. Raises Failure or Fatal."""
        import aiohttp

        url = self.address + self.dialect.models_path()
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self.client.send("GET", url, self.headers, A_LIST)
            if answer.status >= 300:
                raise Failure(
                    f"{self.address} lists no models ({answer.status})", sent="no", retry=False
                )
            said = exact_json(answer.content)
        except aiohttp.ClientError as error:
            raise Failure(
                f"{self.address} lists no models ({type(error).__name__})", sent="no", retry=False
            ) from None
        except TimeoutError:
            raise Failure(
                f"{self.address} lists no models within {self.timeout:g} s", sent="no", retry=False
            ) from None
        except ValueError:
            return []
        return self.dialect.listed(said)

    @cached_property
    def headers(self) -> CIMultiDict[str]:
        """Of every request; the key's are among them."""
        from multidict import CIMultiDict

        headers = CIMultiDict(self.dialect.headers(self.key))
        headers.update(self.client.headers)
        return headers

    @cached_property
    def _url(self) -> str:
        return self.address + self.dialect.path(self.model)

    def body(self, request: Request) -> dict[str, Any]:
        """What is sent. Fatal for a decoding field that is not taken."""
        return {
            **self.dialect.body(self.model, request, self._decoding(request)),
            **self.extra_body,
        }

    def _decoding(self, request: Request) -> dict[str, Any]:
        """The decoding fields as they are sent; another draw is another seed."""
        others = sorted(set(request.decoding) - self.takes)
        if others and not self.drop:
            raise Fatal(
                f"the teacher '{self.model}' does not take the decoding field '{others[0]}'",
                "remove it from the recipe, or set `teacher.on_unsupported: drop`",
            )
        fields = {
            self._called(name): value
            for name, value in request.decoding.items()
            if name in self.takes
        }
        if "seed" in fields:
            fields["seed"] += request.sample
        if self.alternatives:
            chat = "top_logprobs" in self.takes
            fields |= {"logprobs": True, "top_logprobs": self.alternatives} if chat else {}
            fields |= {} if chat else {"logprobs": self.alternatives}
        return fields
