"""Any 200 that carries a reply is settled and stored before pace, headers, usage, rules or the screen see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.outside_numbers import exact_json
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.batch.batch_file import read
from alpaca_pipe.teachers.http_teacher import HttpTeacher
from alpaca_pipe.teachers.metering.settlement import entered
from alpaca_pipe.teachers.openai.chat_dialect import CHAT, TAKES, completion_of
from alpaca_pipe.teachers.openai.http_attempt import HttpConnection
from alpaca_pipe.teachers.openai.http_client import http_client
from alpaca_pipe.teachers.openai.reply_json import is_reply
from tests.attack.examples import many, some
from tests.attack.hostile import Asked, Hostile, chat, hostile, whole
from tests.teachers.test_metered import CEILING, MINI, Scripted, metered, question

ABSURD = "1e99999999999999999999"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**80),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        yield journal


def ask(journal: Journal, reply: Completion, **others: Any) -> tuple[Any, Scripted]:
    teacher = Scripted(lambda text, attempt: reply)

    async def body() -> Any:
        return await asyncio.gather(
            metered(teacher, journal, **others).ask(question("q")), return_exceptions=True
        )

    return asyncio.run(body())[0], teacher


class _Unkind(dict[str, str]):
    def items(self) -> Any:
        raise OverflowError("headers that break whoever looks at them")


def test_a_reply_whose_headers_break_the_pace_is_kept_and_not_bought_again(
    journal: Journal,
) -> None:
    broken = Completion("text", "stop", Usage(10, visible_out=5), limits=_Unkind({"x": "1"}))
    failed, _ = ask(journal, broken)
    assert isinstance(failed, OverflowError)  # no header does that any more: this one is not one
    again, other = ask(journal, broken)
    assert again.text == "text" and again.from_store and not other.reached
    assert journal.totals().settled == MINI.cost(Usage(10, visible_out=5))
    assert not journal.totals().pending


def test_a_screen_that_is_gone_takes_no_reply_with_it(journal: Journal) -> None:
    def gone(sentence: str) -> None:
        raise BrokenPipeError

    teacher = Scripted(
        lambda text, attempt: Completion(
            "text", "stop", Usage(1, visible_out=1), model_said="other"
        )
    )

    async def body() -> None:
        asking = metered(teacher, journal)
        asking._say, asking._served._asked = gone, "gpt-4o-mini"
        with pytest.raises(BrokenPipeError):
            await asking.ask(question("q"))

    asyncio.run(body())
    assert journal.stored(question("q").key(teacher.identity)) is not None


@many
@given(
    st.dictionaries(st.sampled_from(["message", "finish_reason", "text", "x"]), anything),
    anything,
    anything,
)
def test_any_json_that_carries_a_reply_is_one(choice: Any, usage: Any, model: Any) -> None:
    said = {"choices": [choice], "usage": usage, "model": model, "system_fingerprint": model}
    reply = exact_json(json.dumps(said))
    if not is_reply(reply):
        return
    completion = completion_of(reply, "")
    kept = entered(completion, 20, MINI, CEILING)
    assert 0 <= kept.nanodollars < 1 << 63 and len(completion.model_said) <= 200


HEADERS = [
    "Retry-After",
    "X-RateLimit-Limit-Requests",
    "X-RateLimit-Remaining-Tokens",
    "X-RateLimit-Reset-Tokens",
    "OpenAI-Processing-Ms",
    "X-Request-Id",
    "Date",
    "Content-Type",
    "Set-Cookie",
]
values = st.sampled_from(
    ["nan", "1e999", "-5", "9" * 5000, "", "1s", "99999999h", "\x1b[2J", "\xff", ABSURD]
) | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=12)


@pytest.fixture(scope="module")
def answering() -> Iterator[tuple[Hostile, dict[str, bytes]]]:
    """A server that answers whatever is put under "answer"."""
    put: dict[str, bytes] = {}

    async def script(asked: Asked) -> AsyncIterator[bytes]:
        yield put["answer"]

    with hostile(script) as server:
        yield server, put


@some
@given(st.dictionaries(st.sampled_from(HEADERS), values, max_size=4), anything, anything, anything)
def test_any_200_with_a_reply_is_stored_whatever_stands_around_it(
    answering: tuple[Hostile, dict[str, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
    headers: dict[str, str],
    usage: Any,
    model: Any,
    more: Any,
) -> None:
    """Over HTTP: it is in the ledger with its cost, and nobody asks for it again."""
    server, put = answering
    lines = [f"{name}: {value}" for name, value in headers.items()]
    put["answer"] = whole(chat(usage=usage, model=model, more=more), *lines)
    asked = len(server.asked)

    async def body(journal: Journal) -> Any:
        async with http_client(server.url, timeout=30.0) as client:
            wire = HttpConnection(client, server.url, "m", "", 30.0, takes=TAKES, dialect=CHAT)
            asking = metered(
                HttpTeacher(wire, {"who": "any"}),  # type: ignore[arg-type]
                journal,
                attempts=1,
            )
            return await asyncio.gather(asking.ask(question("q")), return_exceptions=True)

    with Journal.open(tmp_path_factory.mktemp("any") / "ledger.sqlite") as journal:
        for _ in range(2):
            asyncio.run(body(journal))
        journal.check()
        stored = journal.stored(question("q").key({"who": "any"}))
        assert stored is not None and stored.text == "fine"
        totals = journal.totals()
        assert totals.requests == 1 and totals.open == totals.lost == 0
    assert len(server.asked) == asked + 1


def deep(levels: int) -> Any:
    text: Any = "bottom"
    for _ in range(levels):
        text = [{"text": text}]
    return text


def test_parts_within_parts_are_no_recursion() -> None:
    reply = {"choices": [{"message": {"content": deep(400)}, "finish_reason": "stop"}]}
    assert completion_of(reply, "").text == ""


def test_one_line_of_a_batch_that_cannot_be_read_takes_no_other_with_it() -> None:
    good = {
        "custom_id": "a",
        "response": {
            "status_code": 200,
            "body": {
                "choices": [{"message": {"content": "t"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1},
            },
        },
    }
    text = json.dumps(good)
    lines = [
        text.replace('"a"', "[1]"),
        text.replace('"a"', '{"b": 1}'),
        text.replace("200", ABSURD).replace('"a"', '"b"'),
        text.replace("200", '"200"').replace('"a"', '"c"'),
        text.replace('"response": {', '"response": [{').replace("}}}", "}}]}"),
        "[" * 100_000,
        "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"),
        text.replace('"prompt_tokens": 1', f'"prompt_tokens": {ABSURD}'),
        text.replace('"a"', '"d"').replace('"prompt_tokens": 1', f'"prompt_tokens": {"9" * 6000}'),
    ]
    answers = read(["\n".join(lines).encode()], dict.fromkeys("abcd"), _wire())
    assert {name: type(end).__name__ for name, end in answers.outcomes.items()} == {
        "a": "Completion",
        "d": "Completion",
    }
    assert answers.unreadable == 7 and answers.answered == 2
    for end in answers.outcomes.values():
        assert isinstance(end, Completion) and "make no sense" in end.doubt
        assert entered(end, 20, MINI, CEILING).nanodollars == CEILING


def _wire() -> HttpConnection:
    return HttpConnection(None, "http://x/v1", "m", "", 1.0, frozenset({"max_tokens"}), CHAT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("usage", "billed"),
    [
        (Usage(10, visible_out=1_000_000_000), None),
        (Usage(1_000_000_000, visible_out=5), None),
        (Usage(10, visible_out=5), 2_000_000_000_000),
        (Usage(10, visible_out=1_000_000_000), 10**15),
    ],
)
def test_usage_that_no_reply_can_have_counts_at_the_ceiling_and_stops_nothing(
    journal: Journal, usage: Usage, billed: int | None
) -> None:
    """A billion output tokens at max_tokens 20 settled $600 and blocked the recipe."""
    reply = Completion("text", "stop", usage, billed=billed)
    kept, _ = ask(journal, reply, bills_dollars=True)
    assert kept.text == "text"
    assert journal.totals().settled == CEILING
    anomaly = next(entry.note for entry in journal.entries() if entry.kind == "anomaly")
    assert "not believed" in anomaly and "ledger correct" in anomaly


def test_what_a_teacher_thinks_beside_its_limit_is_believed_and_stops_the_run() -> None:
    thought = Completion("t", "stop", Usage(10, visible_out=5, reasoning_out=9_000))
    kept = entered(thought, 80, MINI, CEILING)
    assert kept.over and kept.nanodollars == MINI.cost(thought.usage)
    assert replace(kept).believed
