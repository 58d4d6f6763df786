"""Every protocol of this folder, and which of them a request is in."""

from __future__ import annotations

from aiohttp import web

from alpaca_pipe.core.registry import members
from tests.proving.dialects.base import ServedDialect

DIALECTS = members("tests.proving.dialects", ServedDialect)


def protocol_of(http: web.Request) -> ServedDialect:
    return next(
        (one for one in DIALECTS if one.kind != "openai_chat" and one.speaks(http)),
        next(one for one in DIALECTS if one.kind == "openai_chat"),
    )
