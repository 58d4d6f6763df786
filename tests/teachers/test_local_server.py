"""A real model: llama.cpp on the embedded GGUF. Skipped where xllamacpp or the file is missing."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import open_teacher
from alpaca_pipe.weights.gguf import cached_path
from alpaca_pipe.weights.known import SMOLLM2

needs_model = pytest.mark.skipif(
    not importlib.util.find_spec("xllamacpp") or not cached_path(SMOLLM2).is_file(),
    reason=f"needs xllamacpp and {cached_path(SMOLLM2)} (alpaca-pipe setup local)",
)


def ask(requests: Sequence[Request], log: Path, **fields: Any) -> list[Completion]:
    """One after the other."""

    async def main() -> list[Completion]:
        table = TeacherTable(
            **{"kind": "local_server", "model": SMOLLM2.name, "context": 512, **fields}
        )
        async with open_teacher(table, log=log) as teacher:
            return [await teacher.ask(request) for request in requests]

    return asyncio.run(main())


@pytest.mark.local
@needs_model
def test_it_answers_repeats_itself_and_keeps_to_a_schema(tmp_path: Path) -> None:
    why = (PromptMessage("user", "Name a color."),)
    schema = {
        "type": "object",
        "properties": {"color": {"enum": ["red", "blue"]}},
        "required": ["color"],
    }
    said, again, other, filled, too_long = ask(
        [
            Request(why, {"max_tokens": 8, "seed": 1, "temperature": 1.0}),
            Request(why, {"max_tokens": 8, "seed": 1, "temperature": 1.0}),
            Request(why, {"max_tokens": 8, "seed": 1, "temperature": 1.0}, sample=1),
            Request(
                why,
                {
                    "max_tokens": 40,
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "color", "schema": schema},
                    },
                },
            ),
            Request((PromptMessage("user", "word " * 600),), {"max_tokens": 8}),
        ],
        tmp_path / "llama.log",
    )
    assert said.text == again.text != other.text
    assert (said.finish, said.usage.tokens_out) == ("length", 8)
    assert said.usage.tokens_in == again.usage.tokens_in > 10
    assert said.model_said == SMOLLM2.name
    assert json.loads(filled.text)["color"] in ("red", "blue")
    assert filled.finish == "stop"
    assert too_long.finish == "refused"
    assert "model loaded" in (tmp_path / "llama.log").read_text()


@pytest.mark.local
@needs_model
def test_a_port_in_use_and_a_file_that_is_no_model_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + b"\0" * 64)
    with pytest.raises(UserError, match=r"cannot serve .*broken\.gguf; its log"):
        ask([], tmp_path / "log", model=str(tmp_path / "broken.gguf"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} .* in use"):
            ask([], tmp_path / "log", port=port)


def test_weights_that_were_not_fetched_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="not on this machine") as caught:
        ask([], tmp_path / "log")
    assert "alpaca-pipe setup local" in caught.value.cure
