"""A chat with a model whose template holds conversations: what was said before is shown to it, as a chat template says it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from alpaca_pipe.chat.inference import ChatModel, ChatSettings
from alpaca_pipe.chat.pipe import Piped
from alpaca_pipe.chat.repl import Terminal
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import new_console
from alpaca_pipe.models.loading import load_for_scoring
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.tiny import build_tiny

HOW = ChatSettings(max_tokens=5)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ChatModel]:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny(folder)
    model, tokenizer = load_for_scoring(Checkpoint(str(folder)))
    return {
        name: ChatModel(model, Encoder(tokenizer, TEMPLATES[name]))
        for name in ("chat", "alpaca", "vicuna")
    }


def typed(
    model: ChatModel, lines: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    feed: Iterator[str] = iter([*lines, f"/save {folder / 'said.jsonl'}", "/quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(feed))
    console = new_console(file=io.StringIO())
    Terminal(model, lambda: model, HOW, console, {}, folder).run()
    return [json.loads(line) for line in (folder / "said.jsonl").read_text().splitlines()]


def answered(model: ChatModel, messages: list[dict[str, Any]]) -> str:
    """As a stranger asks, by apply_chat_template and generate."""
    tokenizer = model.encoder.tokenizer
    ids = tokenizer.apply_chat_template(
        messages, chat_template=model.encoder.form.jinja, add_generation_prompt=True
    )["input_ids"]
    found = model.model.generate(
        torch.tensor([ids]), do_sample=False, max_new_tokens=HOW.max_tokens
    )
    text = str(tokenizer.decode(found[0, len(ids) :], skip_special_tokens=True))
    return text.removeprefix(" ") if model.encoder.template.name == "vicuna" else text


@pytest.mark.parametrize("name", ["chat", "vicuna"])
def test_what_was_said_is_shown_until_a_new_conversation(
    name: str, models: dict[str, ChatModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = typed(models[name], ["Hi", "And you?", "/again", "/new", "Hi"], tmp_path, monkeypatch)
    first = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": rows[0]["output"]}]
    assert [row.get("messages") for row in rows] == [None, first, first, None]
    assert [row["instruction"] for row in rows] == ["Hi", "And you?", "And you?", "Hi"]
    second = [*first, {"role": "user", "content": "And you?"}]
    assert rows[1]["output"] == rows[2]["output"] == answered(models[name], second)
    assert rows[0]["output"] == rows[3]["output"] == answered(models[name], second[:1])


def test_a_template_of_one_exchange_sees_each_message_alone(
    models: dict[str, ChatModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = typed(models["alpaca"], ["Hi", "Hi"], tmp_path, monkeypatch)
    assert rows[0]["output"] == rows[1]["output"] and not any("messages" in row for row in rows)


def test_a_pipe_takes_conversations(models: dict[str, ChatModel]) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yo"},
        {"role": "user", "content": "And you?"},
    ]
    out: list[str] = []
    Piped(models["chat"], None, HOW, True, {}, out.append).lines(
        [json.dumps({"messages": turns})], "", ""
    )
    row = json.loads(out[0])
    assert row["output"] == answered(models["chat"], turns)
    assert (row["messages"], row["instruction"], row["system"]) == (
        turns[1:3],
        "And you?",
        "Be brief.",
    )


@pytest.mark.parametrize(
    ("model", "line", "said"),
    [
        ("chat", {"messages": [{"role": "assistant", "content": "Yo"}]}, "does not end in a question"),
        ("chat", {"messages": [{"role": "user"}]}, "cannot be answered"),
        ("chat", {"messages": 3}, "cannot be answered"),
        ("alpaca", {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}, {"role": "user", "content": "A?"}]}, "holds one exchange"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said(
    model: str, line: dict[str, Any], said: str, models: dict[str, ChatModel]
) -> None:
    with pytest.raises(UserError, match=said):
        Piped(models[model], None, HOW, True, {}, lambda text: None).lines(
            [json.dumps(line)], "", ""
        )
