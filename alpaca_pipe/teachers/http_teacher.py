"""A teacher that is asked over HTTP, in whatever dialect its connection speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.teachers.openai.error_mapping import Refused
from alpaca_pipe.teachers.openai.gateway_text import refuse_gateway_text
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection


class HttpTeacher:
    """See Teacher in base.py."""

    def __init__(self, wire: HttpConnection, identity: Mapping[str, Any]) -> None:
        self.identity = identity
        self.takes = wire.takes
        self._wire = wire

    async def ask(self, request: Request, name: str = "") -> Completion:
        # whoever names the attempt knows its request
        key = "" if name else request.key(self.identity)
        try:
            reply = await self._wire.post(request, name)
        except Refused as refused:
            return Completion(refused.reason, refused.finish, Usage(), key)
        read = self._wire.dialect.completion(reply.json, key, reply.limits, reply.sent)
        refuse_gateway_text(reply.json, read)
        if self._wire.alternatives and not read.choices and read.text and not read.remark:
            return replace(read, remark="it was asked for log probabilities, and tells none")
        return read
