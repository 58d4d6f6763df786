"""A protocol as the proving server speaks it: one module of this folder each, found where it lies (`protocol_of`).

Each is put into OpenAI's words, so that replies, faults and books are the same for all. Fields as the providers' SDKs
of November 2026 have them; what those APIs do not take is refused in their words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from tests.proving.replies import Reply
from tests.proving.settings import Settings


class Refusal(Exception):
    """400: a field that the API does not take, in its words."""


class ServedDialect(ABC):
    """One instance stands at the top of its module. kind: of the teacher that speaks it, whose tests it is given to
    (tests/proving/test_other_dialects.py). at: what is put behind http://HOST:PORT to reach it."""

    kind: str
    at: str = "/v1"
    posts: tuple[str, ...]  # the paths that are asked, as aiohttp's router has them
    lists: str = "/v1/models"
    takes_temperature: bool = True
    tells_thinking: bool = True  # how many of the tokens of an answer were thought
    names_model: bool = True  # that answered

    @abstractmethod
    def speaks(self, http: web.Request) -> bool:
        """Whether a request is in it and in none before it in this folder; OpenAI's are the rest."""

    @abstractmethod
    def asked(self, http: web.Request, said: Mapping[str, Any]) -> dict[str, Any]:
        """A request in OpenAI's words. Raises Refusal."""

    @abstractmethod
    def key(self, http: web.Request) -> str: ...

    @abstractmethod
    def says(
        self, reply: Reply, body: Mapping[str, Any], settings: Settings, odd: str
    ) -> dict[str, Any]: ...

    @abstractmethod
    def error(self, status: int, code: str, message: str) -> dict[str, Any]: ...

    @abstractmethod
    def listed(self, models: Iterable[str]) -> dict[str, Any]:
        """The provider's list of models."""


def only(said: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in said:
        if name not in known:
            raise Refusal(f"{name}: Extra inputs are not permitted")


def wanted(schema: Any) -> dict[str, Any]:
    """The schema under the name that replies.py knows it by."""
    if schema is None:
        return {}
    name = "tasks" if "tasks" in (schema.get("properties") or {}) else "other"
    return {"response_format": {"json_schema": {"name": name, "schema": schema}}}
