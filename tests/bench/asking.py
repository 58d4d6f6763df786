"""Asks a list of questions in a process of its own: as our stages do, or with a bare `openai` client on the same transport.

One argument, a JSON object: who, url, questions (a file), concurrency, folder, and for ours perhaps requests_per_minute,
tokens_per_minute, seconds (stop asking then). Prints {"rows", "seconds"}: of the asking alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.pricing.token_prices import PriceTable
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect

MODEL, MOST = "gpt-4o-mini", 200  # tokens of a reply


def ours(asked: dict[str, Any], questions: list[str]) -> dict[str, Any]:
    """With ledger, cap and pace; a question that is given up leaves no row, as with the peers."""
    table = TeacherTable(
        kind="openai_chat",
        model=MODEL,
        base_url=asked["url"],
        identity="the proving server",
        price=PriceTable.model_validate({"in": Decimal("0.15"), "out": Decimal("0.60")}),
        concurrency=asked["concurrency"],
        timeout=30,
        max_attempts=asked.get("attempts", 6),
        requests_per_minute=asked.get("requests_per_minute"),
        tokens_per_minute=asked.get("tokens_per_minute"),
    )
    limit = asked.get("max_tokens", MOST)

    async def main(journal: Journal) -> tuple[int, float]:
        async with connect(
            table,
            journal=journal,
            caps=Caps(total=10**15),
            recipe="bench",
            run=str(time.time()),
            stage="generate",
            log=Path(asked["folder"]) / "log",
        ) as teacher:

            async def one(question: str) -> bool:
                try:
                    return isinstance(
                        await teacher.ask(
                            Request((PromptMessage("user", question),), {"max_tokens": limit})
                        ),
                        Completion,
                    )
                except UserError:
                    return False

            began = time.perf_counter()
            rows = await _all(
                one,
                questions,
                len(questions) if not asked.get("seconds") else 4 * asked["concurrency"],
                asked.get("seconds"),
            )
            return rows, time.perf_counter() - began

    with Journal.open(Path(asked["folder"]) / "ledger.sqlite") as journal:
        journal.recover("bench")
        rows, seconds = asyncio.run(main(journal))
    return {"rows": rows, "seconds": seconds}


def bare(asked: dict[str, Any], questions: list[str]) -> dict[str, Any]:
    """Nothing but the client: no ledger, no pace, no retries."""
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    async def main() -> tuple[int, float]:
        transport = DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=1024), trust_env=False
        )
        async with AsyncOpenAI(
            base_url=asked["url"], api_key="k", max_retries=0, http_client=transport
        ) as client:

            async def one(question: str) -> bool:
                reply = await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": question}], max_tokens=MOST
                )
                return bool(reply.choices[0].message.content)

            began = time.perf_counter()
            rows = await _all(one, questions, asked["concurrency"], None)
            return rows, time.perf_counter() - began

    rows, seconds = asyncio.run(main())
    return {"rows": rows, "seconds": seconds}


async def _all(
    one: Callable[[str], Awaitable[bool]], questions: list[str], workers: int, seconds: float | None
) -> int:
    """So many at once, until there are none left or the time is over."""
    left, until = iter(questions), time.monotonic() + (seconds or 1e9)

    async def work() -> int:
        rows = 0
        for question in left:
            if time.monotonic() > until:
                break
            rows += await one(question)
        return rows

    return sum(await asyncio.gather(*(work() for _ in range(workers))))


if __name__ == "__main__":
    said = json.loads(sys.argv[1])
    asks = {"ours": ours, "bare": bare}[said["who"]]
    print(json.dumps(asks(said, json.loads(Path(said["questions"]).read_text()))))
