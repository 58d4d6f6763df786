"""From a table to a metered teacher: real server, real ledger, one request a row."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.pricing.token_prices import PriceTable
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect, open_teacher
from alpaca_pipe.teachers.scripted.scripted_teacher import recorded

TABLE = TeacherTable(kind="rehearsed", model="gpt-4o-mini", concurrency=8)


def question(number: int) -> Request:
    return Request((PromptMessage("user", f"Question {number}?"),), {"max_tokens": 100})


def ask(table: TeacherTable, requests: list[Request], folder: Path) -> list[Completion]:
    async def main(journal: Journal) -> list[Completion]:
        async with connect(
            table,
            journal=journal,
            caps=Caps(),
            recipe="r",
            run="1",
            stage="generate",
            log=folder / "log",
        ) as teacher:
            return list(await asyncio.gather(*map(teacher.ask, requests)))

    with Journal.open(folder / "ledger.sqlite") as journal:
        return asyncio.run(main(journal))


def test_each_request_is_sent_once_paid_on_paper_and_never_sent_again(tmp_path: Path) -> None:
    served = tmp_path / "served.jsonl"
    table = TABLE.model_copy(update={"served": served})
    requests = [question(number) for number in range(20)]
    first = ask(table, requests, tmp_path)
    # $0.15 and $0.60 per million tokens are 150 and 600 nano-dollars a token
    cost = sum(150 * reply.usage.tokens_in + 600 * reply.usage.tokens_out for reply in first)
    again = ask(table, requests, tmp_path)
    assert again == [replace(reply, from_store=True) for reply in first]
    assert len(list(read_jsonl(served))) == 20
    with Journal.open(tmp_path / "ledger.sqlite", read_only=True) as journal:
        totals = journal.totals("r")
    assert (totals.settled, totals.requests, totals.lost, totals.open) == (cost, 20, 0, 0)


def test_a_refused_request_is_kept_with_its_reason_and_costs_nothing(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "lines.jsonl",
        [
            recorded(question(1), Completion("too long", "refused", Usage())),
            recorded(question(2), Completion("Yes.", "stop", Usage())),
        ],
    )
    table = TABLE.model_copy(
        update={"lines": tmp_path / "lines.jsonl", "price": PriceTable.model_validate("free")}
    )
    reply, _ = ask(table, [question(1), question(2)], tmp_path)
    assert (reply.finish, reply.text) == ("refused", "too long")
    with Journal.open(tmp_path / "ledger.sqlite", read_only=True) as journal:
        assert journal.totals("r").spent == 0
        assert journal.stored(reply.key) is not None


def test_an_unknown_price_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no price is known"):
        ask(TeacherTable(kind="rehearsed", model="nobodys-model"), [question(1)], tmp_path)
    assert not (tmp_path / "log").exists()


def test_a_key_that_is_not_set_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_teacher(
            TeacherTable(kind="openai_chat", model="gpt-4o-mini"), log=tmp_path / "log"
        ):
            pass

    with pytest.raises(UserError, match="OPENAI_API_KEY holds no key"):
        asyncio.run(main())
