"""A teacher past its end is not asked, whoever says that it ended: the book, the user's file, or the provider's list of models."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.today import VARIABLE
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.pricing.end_of_life import PastItsEnd
from alpaca_pipe.ledger.pricing.token_prices import PriceTable
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Denied
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import open_teacher
from alpaca_pipe.teachers.past_its_end import refuse_past_its_end, warning
from tests.teachers.test_check import REPLY, serving

QUESTION = Request((PromptMessage("user", "Why?"),), {"max_tokens": 20})
DAY = date(2026, 11, 30)  # as tests/conftest.py sets it


def asked(
    folder: Path, models: Any, times: int = 1, answer: Any = REPLY, status: int = 200
) -> tuple[list[str], list[str], Completion]:
    """What was said, what arrived, and the last reply, of a teacher whose server lists `models`."""
    said: list[str] = []
    arrived: list[str] = []

    async def handler(http: web.BaseRequest) -> web.Response:
        arrived.append(f"{http.method} {http.path}")
        if http.method == "GET":
            return web.json_response(models) if models is not None else web.Response(status=404)
        return web.json_response(answer, status=status)

    async def main() -> Completion:
        async with serving(handler) as port:
            table = TeacherTable(
                kind="openai_chat",
                model="m",
                base_url=f"http://127.0.0.1:{port}/v1",
                price=PriceTable.model_validate("free"),
            )
            async with open_teacher(table, log=folder / "log", say=said.append) as teacher:
                return (await asyncio.gather(*(teacher.ask(QUESTION) for _ in range(times))))[-1]

    return said, arrived, asyncio.run(main())


def listed(day: date | None) -> dict[str, Any]:
    rows = [
        {"id": "other", "shutdown_date": "2020-01-01"},
        {"id": "m", "shutdown_date": day and str(day)},
    ]
    return {"object": "list", "data": rows}


def test_the_providers_own_list_is_read_once_before_the_first_request(tmp_path: Path) -> None:
    said, arrived, reply = asked(tmp_path, listed(None), times=5)
    assert reply.text == "pong" and said == []
    assert arrived.count("GET /v1/models") == 1 and arrived[0] == "GET /v1/models"
    assert arrived.count("POST /v1/chat/completions") == 5


def test_a_shutdown_date_that_has_passed_stops_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(PastItsEnd, match=r"'m' at 127\.0\.0\.1 ended on 2026-11-30 .*/v1/models"):
        asked(tmp_path, listed(DAY))


def test_a_shutdown_date_within_two_months_is_said_once(tmp_path: Path) -> None:
    said, _, reply = asked(tmp_path, listed(DAY + timedelta(days=60)), times=3)
    assert reply.text == "pong" and len(said) == 1 and "in 60 days" in said[0]
    assert asked(tmp_path, listed(DAY + timedelta(days=61)))[0] == []


@pytest.mark.parametrize(
    "models", [None, {}, {"data": None}, {"data": ["m"]}, [], {"data": [{"id": "m"}]}]
)
def test_a_server_without_such_a_list_is_asked_all_the_same(tmp_path: Path, models: Any) -> None:
    said, _, reply = asked(tmp_path, models)
    assert reply.text == "pong" and said == []


def test_the_book_refuses_and_warns_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    table = TeacherTable(kind="openai_chat", model="gpt-4.1-mini")
    refuse_past_its_end(table)
    assert "ends on 2027-01-14, in 45 days" in warning(table)
    monkeypatch.setenv(VARIABLE, "2027-01-14")
    with pytest.raises(PastItsEnd, match=r"gpt-6-luna in its place \(\$0\.1 in, \$0\.5 out"):
        refuse_past_its_end(table)
    assert warning(table) == ""
    refuse_past_its_end(table.model_copy(update={"base_url": "https://gateway.example/v1"}))
    refuse_past_its_end(table.rehearsed())  # a rehearsal asks nobody


def test_a_ledger_that_holds_its_replies_may_be_all_that_is_wanted(tmp_path: Path) -> None:
    table = TeacherTable(kind="openai_chat", model="gpt-4.1-nano")
    ledger = tmp_path / "ledger.sqlite"
    with pytest.raises(PastItsEnd):
        refuse_past_its_end(table, ledger)
    with Journal.open(ledger) as journal:
        attempt = journal.reserve(
            "r1-1", 0, table.priced(), Caps(), recipe="it", run="1", stage="generate"
        ).result()
        assert isinstance(attempt, Attempt)
        reply = Completion("pong", "stop", Usage(), "r1-1")
        journal.settle(attempt, reply, 0, request=QUESTION, teacher=table.identity()).result()
    refuse_past_its_end(table, ledger)
    with pytest.raises(PastItsEnd):
        refuse_past_its_end(table.model_copy(update={"model": "gpt-4-turbo"}), ledger)


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["gpt-6", "a"], "its own list of models holds no 'm': known here: a, gpt-6; check"),
        (["n", "M", "m2"], "'m': did you mean 'm2'?; check `teacher.model` (m)"),
        (["m", "m2"], "check `teacher.model` (m) and `teacher.base_url`"),
        ([], "check `teacher.model` (m) and `teacher.base_url`"),
    ],
)
def test_a_model_that_is_not_there_is_held_against_the_providers_list(
    tmp_path: Path, names: list[str], hint: str
) -> None:
    gone = {"error": {"message": "no such model", "code": "model_not_found"}}
    models = {"data": [{"id": name} for name in names]}
    with pytest.raises(Denied, match="no such model") as caught:
        asked(tmp_path, models, answer=gone, status=404)
    assert hint in caught.value.cure and caught.value.cure.count("teacher.model") == 1
