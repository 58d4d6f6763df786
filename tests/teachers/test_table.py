"""The teacher's table: what it refuses, and whom it says we ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.weights.known import SMOLLM2

CHAT = {"kind": "openai_chat", "model": "gpt-4o-mini"}
LOCAL = {"kind": "local_server", "model": SMOLLM2.name}


def table(folder: Path = Path("."), **fields: Any) -> TeacherTable:
    """As a recipe in `folder` is read."""
    return TeacherTable.model_validate_json(json.dumps(fields), context={"folder": folder})


@pytest.mark.parametrize(
    ("fields", "where", "says"),
    [
        (CHAT | {"api_key_env": "sk-proj-abcdefghijklmnop"}, "api_key_env", "looks like a key"),
        (
            CHAT | {"api_key_env": "0123456789abcdef0123456789abcdef"},
            "api_key_env",
            "looks like a key",
        ),
        (
            CHAT | {"default_headers": {"Authorization": "Bearer abc"}},
            "default_headers",
            "'Authorization' looks like a secret",
        ),
        (
            CHAT | {"extra_body": {"token": "sk-live-abcdefghijklmnop"}},
            "extra_body",
            "'token' looks like a secret",
        ),
        *(
            (CHAT | {"extra_body": body}, "extra_body", f"'{path}' looks like a secret")
            for path, body in {
                "api_key": {"api_key": "0123456789abcdef" * 2},
                "provider.token": {"provider": {"token": "0123456789abcdef0123"}},
                "a.auth": {"a": [{"auth": ["short", "0123456789abcdef"]}]},
                "db.password": {"db": {"password": "correcthorse"}},
            }.items()
        ),
        *(
            (
                CHAT | {"default_headers": {name: "0123456789abcdef"}},
                "default_headers",
                f"'{name}' looks like a secret",
            )
            for name in (
                "Ocp-Apim-Subscription-Key",
                "X-Auth-Token",
                "X-Goog-Api-Key",
                "api_key",
                "Set-Cookie",
            )
        ),
        *(
            (
                CHAT | {"extra_body": {name: value}},
                "extra_body",
                f"'{name}' changes what is asked or billed",
            )
            for name, value in {
                "model": "gpt-5.4-pro",
                "models": ["a/b"],
                "messages": [],
                "prompt": "x",
                "stream": True,
                "n": 4,
                "best_of": 2,
            }.items()
        ),
        *(
            (
                CHAT | {"extra_body": {"max_completion_tokens": limit}},
                "extra_body",
                "is not an output limit",
            )
            for limit in (None, -1, 0, True, "many")
        ),
        (
            CHAT | {"extra_body": {"service_tier": "priority"}},
            "price",
            "asks for service_tier 'priority'",
        ),
        (
            CHAT | {"base_url": "https://me:secret@host/v1"},
            "base_url",
            "no user, password or query",
        ),
        (CHAT | {"base_url": "https://host/v1?key=1"}, "base_url", "no user, password or query"),
        (CHAT | {"proxy": "http://me:secret@host:8080"}, "proxy", "no user or password"),
        (CHAT | {"proxy": "socks5://host:1080"}, "proxy", "SOCKS is not spoken here"),
        (CHAT | {"ca_file": "nowhere.pem"}, "ca_file", "no such file"),
        (
            LOCAL | {"proxy": "http://host:8080"},
            "proxy",
            "a teacher of kind local_server has no 'proxy'",
        ),
        (CHAT | {"base_url": "host/v1"}, "base_url", "write it like https://host/v1"),
        (CHAT | {"lines": "x.jsonl"}, "lines", "a teacher of kind openai_chat has no 'lines'"),
        (
            LOCAL | {"base_url": "http://host/v1"},
            "base_url",
            "a teacher of kind local_server has no 'base_url'",
        ),
        (LOCAL | {"model": "nowhere.gguf"}, "model", "no such GGUF file"),
        (LOCAL | {"model": "not-a-model.gguf"}, "model", "not a GGUF file"),
        ({"kind": "rehearsed", "model": "m", "lines": "nowhere.jsonl"}, "lines", "no such file"),
    ],
)
def test_a_wrong_table_says_where_and_what_to_do(
    fields: dict[str, Any], where: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "not-a-model.gguf").write_text("hello")
    with pytest.raises(ValidationError) as caught:
        table(tmp_path, **fields)
    (error,) = caught.value.errors()
    assert error["loc"] == (where,)
    assert says in error["msg"]
    assert " - " in error["msg"]  # the cure
    assert not any(
        secret in error["msg"] for secret in ("abcdefghijklmnop", "0123456789abcdef", "secret@")
    )


@pytest.mark.parametrize(
    "fields",
    [
        {
            "extra_body": {
                "prompt_cache_key": "alpaca-pipe",
                "max_tokens": 12345678,
                "eos_token": "<|im_end|>",
                "user": "somebody",
            }
        },
        {
            "extra_body": {
                "tokenizer": "mistral-v3",
                "author": "somebody",
                "keywords": "many of them",
                "stop_token_ids": [1, 2],
            }
        },
        {"extra_body": {"service_tier": "default"}},
        {"extra_body": {"service_tier": "auto"}},
        {"extra_body": {"service_tier": "priority"}, "price": {"in": 1, "out": 2}},
        {"default_headers": {"X-Title": "my own project", "HTTP-Referer": "https://example.org"}},
    ],
)
def test_what_is_no_secret_and_costs_what_is_said_may_be_added(fields: dict[str, Any]) -> None:
    assert table(**CHAT | fields)


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "MY_KEY_2", "a_long_name_of_a_variable_for_the_key_of_a_small_provider"],
)
def test_names_of_variables_are_taken(name: str) -> None:
    assert table(**CHAT, api_key_env=name).key_variable == name


def test_openais_key_goes_to_openai_only() -> None:
    assert table(**CHAT).key_variable == "OPENAI_API_KEY"
    assert table(**CHAT, base_url="http://localhost:8000/v1").key_variable is None
    assert table(**LOCAL).key_variable is None


def test_a_known_weight_is_known_without_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "empty"))
    assert table(**LOCAL).identity() == {"gguf": SMOLLM2.sha256, "asked": "chat", "context": 4096}


def test_a_gguf_is_known_by_its_content(tmp_path: Path) -> None:
    for name in ("one.gguf", "two.gguf"):
        (tmp_path / name).write_bytes(b"GGUF" + b"\0" * 100)
    one, two = (
        table(tmp_path, kind="local_server", model=name) for name in ("one.gguf", "two.gguf")
    )
    assert one.identity() == two.identity()
    assert str(tmp_path) not in json.dumps(one.identity())
    assert one.called == "one.gguf"


def test_an_endpoint_is_known_by_address_dialect_and_model() -> None:
    assert table(**CHAT).identity() == {
        "url": "https://api.openai.com/v1/chat/completions",
        "model": "gpt-4o-mini",
    }
    assert (
        table(**CHAT, base_url="https://api.openai.com:443/v1/").identity()
        == table(**CHAT).identity()
    )
    assert table(**CHAT | {"kind": "openai_completions"}).identity() != table(**CHAT).identity()
    mine = table(**CHAT, base_url="http://localhost:8000/v1")
    assert (
        mine.identity()["url"] == "http://localhost:8000/v1/chat/completions"
    )  # a port that the user chose
    moved = table(**CHAT, base_url="http://elsewhere/v1", identity="my-llama")
    assert (
        moved.identity() == {"named": "my-llama"} == table(**CHAT, identity="my-llama").identity()
    )


def test_knobs_do_not_change_whom_we_ask_and_what_changes_the_answer_does() -> None:
    knobs = {
        "concurrency": 32,
        "timeout": 5,
        "max_attempts": 2,
        "requests_per_minute": 10,
        "tokens_per_minute": 1000,
        "price": {"in": 1, "out": 2},
        "default_headers": {"X-Title": "mine"},
        "on_unsupported": "drop",
        "proxy": "http://host:3128",
        "ca_file": __file__,
    }
    assert table(**CHAT, **knobs).identity() == table(**CHAT).identity()
    assert (
        table(**LOCAL, port=8123, threads=2, concurrency=8).identity() == table(**LOCAL).identity()
    )
    # what a style only likes to send is left out, whatever on_unsupported says
    for change in (
        {"extra_body": {"top_k": 5}},
        {"refuses": ["stop"]},
        {"refuses": ["stop"], "on_unsupported": "drop"},
    ):
        assert table(**CHAT, **change).identity() != table(**CHAT).identity()


def test_a_model_of_our_own_is_free_and_an_endpoint_is_not() -> None:
    price = table(**LOCAL).price
    assert price is not None
    assert not any(price.per_million().values())
    assert table(**CHAT).price is None


@pytest.mark.parametrize(
    "fields",
    [
        CHAT,
        CHAT | {"kind": "openai_completions", "model": "davinci-002"},
        LOCAL | {"dialect": "completions"},
        CHAT
        | {
            "price": {"in": 3, "out": 4},
            "base_url": "https://h/v1",
            "api_key_env": "K",
            "extra_body": {"a": 1},
        },
    ],
)
def test_rehearsed_speaks_the_same_dialect_at_the_same_price_and_is_somebody_else(
    fields: dict[str, Any],
) -> None:
    real = table(**fields)
    rehearsed = real.rehearsed()
    assert rehearsed.kind == "rehearsed"
    assert (rehearsed.speaks, rehearsed.price, rehearsed.called) == (
        real.speaks,
        real.price,
        real.called,
    )
    assert rehearsed.key_variable is None
    assert rehearsed.identity() != real.identity()
    assert rehearsed.rehearsed() == rehearsed


def test_recorded_lines_are_not_rehearsed(tmp_path: Path) -> None:
    """They answer the requests of the recipe in full size; a rehearsal asks others."""
    (tmp_path / "lines.jsonl").write_text("")
    real = table(
        tmp_path, kind="rehearsed", model="m", lines="lines.jsonl", price="free", delay=0.5
    )
    assert real.rehearsed() == real.model_copy(update={"lines": None})
