"""The proving server itself: every fault arrives as what it is called, and its books say what it billed."""

from __future__ import annotations

import asyncio
import csv
import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.proving import faults
from tests.proving.books import reading
from tests.proving.start import Proving, proving
from tests.waiting import PATIENCE, until, when

NAMES = {"Authorization": "Bearer k", "X-Draw": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    with proving(
        tmp_path_factory.mktemp("proving") / "books.sqlite", hang=5.0, retry_after=0.2
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def fair_weather(server: Proving) -> None:
    server.weather(
        script=[],
        nature={},
        faults={},
        key="",
        models=[],
        latency=0.0,
        requests_per_minute=0,
        tokens_per_minute=0,
        counts="used",
        standing=False,
    )


def asking(text: str, **fields: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 200,
        **fields,
    }


def ask(
    server: Proving,
    *bodies: dict[str, Any],
    name: str = "",
    path: str = "/chat/completions",
    leaves: Callable[[], Any] | None = None,
) -> list[Any]:
    """For each body, sent one after the other: (status, headers, JSON), or the error of the transport. leaves: where given,
    the asker leaves as soon as that is true, if it has no answer yet."""

    async def one(session: aiohttp.ClientSession, number: int, body: dict[str, Any]) -> Any:
        if leaves is None:
            return await answered(session, number, body)
        asking = asyncio.ensure_future(answered(session, number, body))
        await when(leaves)
        asking.cancel()
        return (await asyncio.gather(asking, return_exceptions=True))[0]

    async def answered(session: aiohttp.ClientSession, number: int, body: dict[str, Any]) -> Any:
        try:
            async with session.post(
                server.url + path,
                json=body,
                timeout=aiohttp.ClientTimeout(PATIENCE),
                headers=NAMES | {"X-Client-Request-Id": f"{name}.{number}"},
            ) as answer:
                return answer.status, dict(answer.headers), json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return error

    async def main() -> list[Any]:
        async with aiohttp.ClientSession() as session:
            return [await one(session, number, body) for number, body in enumerate(bodies)]

    return asyncio.run(main())


def entered(server: Proving, name: str) -> list[Any]:
    server.quiet()
    with reading(server.books) as db:
        return list(
            db.execute("SELECT * FROM requests WHERE name LIKE ? ORDER BY id", (f"{name}.%",))
        )


def test_the_same_question_has_the_same_answer_and_another_draw_another(server: Proving) -> None:
    first, again, other = ask(server, asking("a"), asking("a"), asking("b"), name="same")
    assert first[2] == again[2] != other[2]
    assert ask(server, {"model": "m", "prompt": "go on"}, path="/completions")[0][2]["choices"][0][
        "text"
    ]
    usage = first[2]["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]


@pytest.mark.parametrize("fault", faults.ATTEMPT)
def test_each_fault_arrives_as_what_it_is(server: Proving, fault: str) -> None:
    server.weather(script=[fault])
    hangs = fault in ("hang", "hang_billed")
    met = (lambda: server.state()["faults"].get(fault)) if hangs else None
    (answer,) = ask(server, asking(f"fault {fault}"), name=fault, leaves=met)
    (row,) = entered(server, fault)
    assert row["fault"] == fault
    if fault in faults.ERRORS:
        status, headers, body = answer
        assert (status, body["error"]["code"]) == faults.ERRORS[fault][:2]
        assert ("retry-after-ms" in headers) == (fault == "429_retry_after")
    elif hangs:
        assert isinstance(answer, asyncio.CancelledError), "it had an answer"
    elif fault in ("malformed", "sse", "hostile"):
        assert isinstance(answer, ValueError | RecursionError)
    elif fault in (*faults.UNBILLED, *faults.BROKEN) and fault != "empty_choices":
        assert isinstance(answer, aiohttp.ClientError)
    else:
        assert answer[0] == 200
        usage = answer[2].get("usage")
        assert (answer[2]["choices"] == []) == (fault == "empty_choices")
        assert (usage is None) == (fault == "usage_missing")
        assert (answer[2]["model"] != "m") == (fault == "other_model")
    assert (row["nanodollars"] > 0) == (fault in (*faults.BROKEN, *faults.ODD, "tier"))


def test_a_question_keeps_its_nature(server: Proving) -> None:
    server.weather(nature={"length": 1.0})
    for answer in ask(server, asking("long"), asking("long"), name="nature"):
        assert answer[2]["choices"][0]["finish_reason"] == "length"
    server.weather(nature={"content_filter": 1.0})
    assert ask(server, asking("long"))[0][2]["choices"][0]["finish_reason"] == "content_filter"
    server.weather(nature={"filtered_unread": 1.0})
    assert ask(server, asking("long"))[0][0] == 400


def test_the_same_seed_makes_the_same_weather(server: Proving) -> None:
    server.weather(faults={"500": 0.3, "429": 0.2})
    ask(server, *(asking(f"weather {number}") for number in range(40)), name="one")
    met = [row["fault"] for row in entered(server, "one")]
    assert {"", "500", "429"} == set(met)
    assert met == [
        faults.drawn({"500": 0.3, "429": 0.2}, faults.ATTEMPT, faults.chance(0, row["asked"], 1))
        for row in entered(server, "one")
    ]


def test_its_books_add_up(server: Proving, tmp_path: Path) -> None:
    server.weather(
        faults={"500": 0.1, "reset_billed": 0.1, "usage_zero": 0.1}, nature={"length": 0.1}
    )
    answers = ask(server, *(asking(f"books {number}") for number in range(60)), name="books")
    rows = entered(server, "books")
    assert len(rows) == 60
    for row, answer in zip(rows, answers, strict=True):
        # $0.15, $0.0375 and $0.60 per million tokens
        halves = row["cache_read"] * Decimal("37.5")
        assert row["nanodollars"] == (
            150 * row["uncached_in"]
            + round(halves)
            + 600 * (row["visible_out"] + row["reasoning_out"])
        )
        if not row["fault"] or row["fault"] == "length":
            usage = answer[2]["usage"]
            assert usage["prompt_tokens"] == row["uncached_in"] + row["cache_read"]
            assert usage["completion_tokens"] == row["visible_out"] + row["reasoning_out"]
    focus = list(csv.DictReader(server.focus(tmp_path / "focus.csv").open()))
    own = {row["name"]: row["nanodollars"] for row in rows if row["nanodollars"]}
    assert own == {
        line["ResourceId"]: int(Decimal(line["BilledCost"]).scaleb(9))
        for line in focus
        if line["ResourceId"].startswith("books.")
    }
    costs = json.loads(server.costs(tmp_path / "costs.json").read_text(), parse_float=Decimal)
    whole = sum(
        Decimal(result["amount"]["value"])
        for bucket in costs["data"]
        for result in bucket["results"]
    )
    assert whole == sum(Decimal(line["BilledCost"]) for line in focus)


def test_limits_are_kept_and_told(server: Proving) -> None:
    server.weather(requests_per_minute=60, tokens_per_minute=100_000, standing=True)
    answers = ask(server, *(asking("limit") for _ in range(62)))
    assert [answer[0] for answer in answers] == [200] * 60 + [429] * 2
    assert answers[0][1]["x-ratelimit-limit-requests"] == "60"
    assert int(answers[0][1]["x-ratelimit-remaining-tokens"]) < 100_000
    assert answers[60][1]["retry-after-ms"] == "1000"
    server.weather(requests_per_minute=0, tokens_per_minute=600, counts="asked")
    first, second, third = ask(
        server, *(asking("limit") for _ in range(3))
    )  # 208 tokens each, as they were asked for
    assert (first[0], second[0], third[0]) == (200, 200, 429)
    assert float(third[1]["retry-after-ms"]) == pytest.approx((3 * 208 - 600) * 100, abs=1)


def test_latency_as_scripted(server: Proving) -> None:
    server.weather(latency=0.2)
    began = time.monotonic()
    ask(server, asking("slow"))
    assert time.monotonic() - began >= 0.2


def _ended(batch: Any) -> Any:
    return None if batch.status in ("validating", "in_progress", "finalizing") else batch


def test_a_batch_is_answered_billed_and_told(server: Proving) -> None:
    from openai import OpenAI

    server.weather(
        faults={"line_twice": 0.1, "line_missing": 0.1, "line_error": 0.1}, batch_seconds=0.2
    )
    lines = [
        {
            "custom_id": f"line.{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": asking(f"line {number}"),
        }
        for number in range(60)
    ]

    def through(client: OpenAI, lines: list[dict[str, Any]], status: str) -> Any:
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"intent": "i"},
        )
        ended = until(lambda: _ended(client.batches.retrieve(batch.id)))
        assert ended.status == status
        return ended

    with OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        batch = through(client, lines, "completed")
        out = [
            json.loads(line)
            for line in client.files.content(batch.output_file_id).text.splitlines()
        ]
        wrong = [
            json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()
        ]
        rows = {row["name"]: row for row in entered(server, "line")}
        assert len(rows) == 60 and batch.metadata == {"intent": "i"}
        assert {line["custom_id"] for line in out} == {
            name for name, row in rows.items() if row["nanodollars"]
        }
        assert len(out) > len({line["custom_id"] for line in out}), "some lines stand twice"
        assert len({line["custom_id"] for line in out + wrong}) < 60, "some lines are missing"
        assert [line["custom_id"] for line in out] != sorted(line["custom_id"] for line in out), (
            "in another order"
        )
        row = rows[out[0]["custom_id"]]  # at half the price
        assert row["nanodollars"] == 75 * (row["uncached_in"] + row["cache_read"]) + 300 * (
            row["visible_out"] + row["reasoning_out"]
        )
        server.weather(faults={"batch_expired": 1.0})
        batch = through(client, lines, "expired")
        assert len(client.files.content(batch.output_file_id).text.splitlines()) == 30
        failed = client.files.content(batch.error_file_id).text.splitlines()
        assert {json.loads(line)["error"]["code"] for line in failed} == {"batch_expired"} and len(
            failed
        ) == 30
        server.weather(faults={})
        assert (
            "stands twice" in through(client, [lines[0], lines[0]], "failed").errors.data[0].message
        )
        assert [batch.id for batch in client.batches.list()] == [
            "batch_000002",
            "batch_000001",
            "batch_000000",
        ]


def test_released_rows_are_told_in_their_order_and_again_the_same(tmp_path: Path) -> None:
    rows = [
        {"instruction": f"Name thing {number}.", "input": "", "output": f"It is {number}."}
        for number in range(18)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    with proving(tmp_path / "books.sqlite", released=str(tmp_path / "rows.json")) as running:
        said = [
            body["choices"][0]["text"]
            for _, _, body in ask(
                running,
                *(
                    {"model": "m", "prompt": text, "stop": ["\n20"]}
                    for text in ("one", "two", "one")
                ),
                path="/completions",
            )
        ]
        running.weather(applies_stop=False)
        assert running.state()["applies_stop"] is False
        longer = ask(
            running, {"model": "m", "prompt": "one", "stop": ["\n20"]}, path="/completions"
        )[0][2]["choices"][0]["text"]
    assert said[0] == said[2] and said[0].startswith(
        " Name thing 0.\n4. Input:\n<noinput>\n4. Output:\nIt is 0.\n###\n5. Ins"
    )
    assert (
        said[0].count("Output:") == 16 and said[1].count("Output:") == 2 and "thing 17" in said[1]
    )
    assert longer == f"{said[0]}\n20. Instruction: Say"
