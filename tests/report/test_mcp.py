"""The MCP server as an assistant meets it: a real process, the SDK's own client, nothing written."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

mcp = pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")

from alpaca_pipe.core.files import file_digest
from tests.report.conftest import TEXTS, Workspace, buy


def asked(root: Path, talk: Callable[[Any], Awaitable[Any]]) -> Any:
    """What `talk` made of a server on this workspace."""

    async def meet() -> Any:
        server = mcp.StdioServerParameters(
            command=sys.executable,
            args=["-m", "alpaca_pipe", "mcp", "--runs", str(root)],
            env=dict(os.environ),
        )
        async with mcp.Client(server) as client:
            return await talk(client)

    return asyncio.run(meet())


def told(result: Any) -> Any:
    text = "".join(part.text for part in result.content)
    assert not result.is_error, text
    return json.loads(text)


def content(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): file_digest(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_what_did_this_row_cost(workspace: Workspace) -> None:
    buy(workspace.root, [f"r1-{0:032x}"])
    before = content(workspace.root)

    async def talk(client: Any) -> tuple[Any, ...]:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        rows = told(await client.call_tool("rows", {"recipe": "tea", "limit": 2}))
        more = told(await client.call_tool("rows", {"recipe": "tea", "start": 3, "limit": 1}))
        way = told(await client.call_tool("trace", {"id": rows[0]["id"]}))
        books = told(await client.call_tool("ledger", {"recipe": "tea", "by": "month"}))
        report = told(await client.call_tool("report", {"recipe": "tea"}))
        state = told(await client.call_tool("status", {"recipe": "tea"}))
        wrong = [
            await client.call_tool("trace", {"id": "nothing-of-this-name"}),
            await client.call_tool("trace", {"id": "--help"}),
            await client.call_tool("plan", {"recipe": "quickstart", "changes": ["--spend"]}),
        ]
        return tools, rows, more, way, books, report, state, wrong

    tools, rows, more, way, books, report, state, wrong = asked(workspace.root, talk)
    assert {"plan", "status", "rows", "trace", "ledger", "report", "history", "recipes"} == set(
        tools
    )
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert [row["instruction"] for row in rows] == [text[0] for text in TEXTS[:2]]
    assert [row["instruction"] for row in more] == [TEXTS[2][0]]
    assert "money" in json.dumps(way).lower() and "$" in json.dumps(way)
    assert books and report["recipe"] == "tea" and state
    assert all(one.is_error for one in wrong)
    assert "no example 'nothing-of-this-name'" in wrong[0].content[0].text
    assert (
        "is not a name" in wrong[1].content[0].text and "changes no key" in wrong[2].content[0].text
    )
    assert content(workspace.root) == before
