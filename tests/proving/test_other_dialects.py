"""Anthropic's and Gemini's own protocols against a server that speaks them: replies, ends, errors, books, lists of models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from alpaca_pipe.cli import app
from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.pricing.token_prices import price_of
from alpaca_pipe.teachers.anthropic.messages_dialect import AnthropicMessages
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import _open_wire
from alpaca_pipe.teachers.gemini.generate_dialect import GeminiGenerate
from tests.proving.dialects import DIALECTS
from tests.proving.start import Proving, proving
from tests.proving.test_as_they_answer import SCHEMA, Run, whole

KEY = "a-key-of-a-test"
OTHERS = {one.kind: one for one in DIALECTS if one.kind != "openai_chat"}
TASKS = {
    "type": "json_schema",
    "json_schema": {"name": "tasks", "schema": {"properties": {"tasks": {}}}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    books = tmp_path_factory.mktemp("other_dialects") / "books.sqlite"
    with proving(
        books, key=KEY, models=["m"], retry_after=0.1, reasoning=0.5, cached=0.5
    ) as running:
        yield running


def address(server: Proving, kind: str) -> str:
    return server.url.removesuffix("/v1") + OTHERS[kind].at


@pytest.fixture(params=OTHERS)
def run(
    request: pytest.FixtureRequest,
    server: Proving,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    server.weather(script=[], faults={}, nature={}, seed=0)
    monkeypatch.setenv("A_KEY", KEY)
    fields = {
        "kind": request.param,
        "base_url": address(server, request.param),
        "api_key_env": "A_KEY",
        "identity": f"the proving server as {request.param}",
    }
    fresh = Run(tmp_path, server).anew()
    return Run(fresh.folder, server, fields, before=fresh.before)


def test_the_ledger_is_the_servers_to_the_nano_dollar(run: Run) -> None:
    """Cached tokens, thinking tokens, a schema and a system text, each in the protocol's own way."""
    texts = [f"Say something of the number {number}." for number in range(30)]
    found = whole(*run.ask(*texts))
    assert {reply.finish for reply in found} == {"stop"}
    assert all("Hm." not in reply.text and reply.text for reply in found)
    assert any(reply.usage.cache_read for reply in found)
    dialect = OTHERS[run.fields["kind"]]
    assert any(reply.usage.reasoning_out for reply in found) == dialect.tells_thinking
    assert run.settled() == run.billed() > 0 and not run.anomalies()
    assert {reply.model_said for reply in found} == ({"m"} if dialect.names_model else {""})


def test_a_schema_is_sent_and_obeyed(run: Run) -> None:
    (reply,) = whole(*run.ask("Write tasks.", response_format=TASKS))
    assert json.loads(reply.text)["tasks"]


@pytest.mark.parametrize(
    "fault", ["529", "503", "429", "429_retry_after", "500", "reset", "malformed"]
)
def test_what_passes_is_asked_again(run: Run, fault: str) -> None:
    run.server.weather(script=[fault])
    (reply,) = whole(*run.ask("Once more."))
    assert reply.finish == "stop"
    lost = [entry for entry in run.entries() if entry.kind == "lost"]
    assert bool(lost) == (fault in ("reset", "malformed")), (
        "outcome unknown: counted at its ceiling"
    )
    assert run.settled() + sum(entry.nanodollars for entry in lost) >= run.billed()


@pytest.mark.parametrize(
    ("nature", "finishes"),
    [("length", {"length"}), ("content_filter", {"refused", "content_filter"})],
)
def test_how_a_reply_ended_is_read(run: Run, nature: str, finishes: set[str]) -> None:
    run.server.weather(nature={nature: 1.0})
    (reply,) = whole(*run.ask("Go on."))
    assert reply.finish in finishes and run.settled() == run.billed() > 0


def test_a_wrong_key_and_a_wrong_model_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.fields["model"] = "n"
    (error,) = run.ask("Hello?")
    assert isinstance(error, UserError) and "does not exist" in str(error)
    run.fields["model"] = "m"
    monkeypatch.setenv("A_KEY", "another-key-of-a-test")
    (error,) = run.ask("Hello?")
    assert isinstance(error, UserError) and "does not accept the key" in str(error)
    assert "another-key" not in str(error) and run.settled() == 0


def test_usage_that_does_not_sum_or_is_missing_is_an_anomaly(run: Run) -> None:
    run.server.weather(script=["usage_missing"])
    (reply,) = whole(*run.ask("Usage?"))
    assert reply.text and run.anomalies() and run.settled() > 0, "it is paid at its ceiling"


def test_the_list_of_models_is_read_with_the_key(run: Run) -> None:
    table = TeacherTable.model_validate({"model": "m", "price": "free", **run.fields})

    async def names() -> list[str]:
        async with _open_wire(table, run.folder / "log") as (wire, _):
            return [row["id"] for row in await wire.models()]

    assert asyncio.run(names()) == ["m"]


def test_a_temperature_that_the_api_refuses_is_told_before_anything_is_sent(run: Run) -> None:
    (found,) = run.ask("Warm?", temperature=0.5)
    if OTHERS[run.fields["kind"]].takes_temperature:
        assert isinstance(found, Completion)
        return
    assert isinstance(found, UserError)
    assert "does not take the decoding field 'temperature'" in str(found)
    assert run.settled() == run.billed() == 0
    if run.fields["kind"] != "anthropic_messages":
        return
    run.fields["api_version"] = "2023-06-01"
    (reply,) = whole(*run.ask("Warm?", temperature=0.5))
    assert reply.finish == "stop"


def test_a_recipe_asks_and_is_rehearsed_in_it(run: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "it.yaml"
    teacher = {**run.fields, "model": "m", "price": {"in": 0.15, "out": 0.6, "cache_read": 0.0375}}
    recipe.write_text(
        f"teacher: {json.dumps(teacher)}\n"
        f"generate: {{count: 5, round_size: 4, tasks: 2}}\ncurate: {{held_out: 1}}\n"
    )
    for more in ([], ["--rehearse"]):
        done = CliRunner().invoke(
            app, ["run", str(recipe), "--runs", str(tmp_path / "runs"), *more]
        )
        assert done.exit_code == 0, done.output


# ---- the words of each protocol, without a server

CHAT = (
    PromptMessage("system", "Be short."),
    PromptMessage("user", "One?"),
    PromptMessage("assistant", "One."),
    PromptMessage("user", "Two?"),
)


def test_what_is_sent_to_anthropic() -> None:
    decoding = {"max_tokens": 9, "stop": "###", "response_format": TASKS}
    assert AnthropicMessages(thinking="low").body("m", Request(CHAT), decoding) == {
        "model": "m",
        "max_tokens": 9,
        "system": "Be short.",
        "messages": [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "One."},
            {"role": "user", "content": "Two?"},
        ],
        "stop_sequences": ["###"],
        "thinking": {"type": "adaptive"},
        "output_config": {
            "format": {"type": "json_schema", "schema": {"properties": {"tasks": {}}}},
            "effort": "low",
        },
    }
    off = AnthropicMessages(thinking="none").body("m", Request(CHAT), {"max_tokens": 9})
    assert off["thinking"] == {"type": "disabled"} and "output_config" not in off
    with pytest.raises(UserError, match="limit of tokens"):
        AnthropicMessages().body("m", Request(CHAT), {})
    with pytest.raises(UserError, match="JSON schema"):
        AnthropicMessages().body("m", Request(CHAT), {"max_tokens": 9, "response_format": "json"})


def test_what_is_sent_to_gemini() -> None:
    decoding = {"max_tokens": 9, "stop": ["###"], "temperature": 0.5, "top_p": 0.9, "seed": 3}
    body = GeminiGenerate("low").body("m", Request(CHAT), decoding | {"response_format": TASKS})
    assert body["systemInstruction"] == {"parts": [{"text": "Be short."}]}
    assert [one["role"] for one in body["contents"]] == ["user", "model", "user"]
    assert body["generationConfig"] == {
        "maxOutputTokens": 9,
        "stopSequences": ["###"],
        "temperature": 0.5,
        "topP": 0.9,
        "seed": 3,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"properties": {"tasks": {}}},
        "thinkingConfig": {"thinkingLevel": "LOW"},
    }
    assert (
        GeminiGenerate().path("models/gemini-3.5-flash")
        == "/models/gemini-3.5-flash:generateContent"
    )


def test_anthropics_classes_of_tokens_exclude_each_other_and_are_priced() -> None:
    said = {
        "type": "message",
        "content": [{"type": "text", "text": "Two."}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 3000,
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 40},
        },
    }
    usage = AnthropicMessages().completion(said, "k").usage
    assert usage == Usage(100, 3000, 20, 10, 40)
    price = price_of("claude-haiku-4-5", date(2026, 11, 30), host="api.anthropic.com")
    # $1 in, 0.1 from the cache, 1.25 into it, 5 out, thinking included
    assert price.cost(usage) == 100 * 1000 + 3000 * 100 + 20 * 1250 + 50 * 5000
    said["usage"] |= {"cache_creation": {"ephemeral_1h_input_tokens": 20}}  # type: ignore[operator]
    assert "for an hour" in AnthropicMessages().completion(said, "k").doubt


def test_geminis_classes_of_tokens_exclude_each_other() -> None:
    said = {
        "candidates": [{"content": {"parts": [{"text": "Two."}]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 60,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 137,
        },
    }
    reply = GeminiGenerate().completion(said, "k")
    assert reply.usage == Usage(40, 60, 0, 7, 30) and not reply.doubt
    said["usageMetadata"]["totalTokenCount"] = 140  # type: ignore[index]
    assert "sum to 137" in GeminiGenerate().completion(said, "k").doubt


def test_a_prompt_that_gemini_blocks_is_an_answer() -> None:
    said = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}
    dialect = GeminiGenerate()
    assert dialect.is_reply(said)
    reply = dialect.completion(said, "k")
    assert (reply.finish, reply.text, reply.usage.tokens_in) == ("content_filter", "", 9)


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("MAX_TOKENS", "length"),
        ("STOP", "stop"),
    ],
)
def test_geminis_words_for_the_end(word: str, finish: str) -> None:
    said = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": word}]}
    assert GeminiGenerate().completion(said, "k").finish == finish


def test_a_refusal_of_anthropics_says_why() -> None:
    said = {
        "type": "message",
        "content": [],
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "bio", "explanation": "Not this."},
        "usage": {"input_tokens": 5, "output_tokens": 0},
    }
    reply = AnthropicMessages().completion(said, "k")
    assert (reply.finish, reply.text) == ("refused", "Not this.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_nothing_that_a_reply_says_of_itself_raises(usage: Any, content: Any, word: Any) -> None:
    """It is paid for."""
    said = {"type": "message", "content": [content], "usage": usage, "stop_reason": word}
    assert AnthropicMessages().completion(said, "k")
    candidate = {"content": {"parts": content}, "finishReason": word}
    for one in (candidate, {"content": content}):
        assert GeminiGenerate().completion({"candidates": [one], "usageMetadata": usage}, "k")


@pytest.mark.parametrize(
    ("kind", "name"), [("anthropic_messages", "thinking"), ("gemini", "generationConfig")]
)
def test_extra_body_may_not_take_the_place_of_what_is_sent(kind: str, name: str) -> None:
    with pytest.raises(ValueError, match="would take its place"):
        TeacherTable.model_validate({"kind": kind, "model": "m", "extra_body": {name: {}}})


def test_keys_and_addresses_are_the_providers() -> None:
    claude = TeacherTable.model_validate(
        {"kind": "anthropic_messages", "model": "claude-haiku-5-5"}
    )
    gemini = TeacherTable.model_validate({"kind": "gemini", "model": "gemini-3.5-flash-lite"})
    assert (claude.key_variable, gemini.key_variable) == ("ANTHROPIC_API_KEY", "GEMINI_API_KEY")
    assert claude.priced().provider == "anthropic" and gemini.priced().provider == "google"
    assert SCHEMA
