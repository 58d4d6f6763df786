"""One prompt and a pipe: what is answered is what transformers' own `generate` answers to the ids of training."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alpaca_pipe.chat import inference
from alpaca_pipe.chat.inference import ChatModel, ChatSettings, asked
from alpaca_pipe.cli import app
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models import trained_model
from alpaca_pipe.recipe.workspace import Workspace
from tests.chat.conftest import CONFIG, RUN, history


def chat(workspace: Workspace, *arguments: str, stdin: str = "", recipe: str = "letters") -> Any:
    return CliRunner().invoke(
        app, ["chat", recipe, "--runs", str(workspace.root), *arguments], input=stdin
    )


@pytest.fixture(scope="module")
def tuned(letters: Workspace) -> ChatModel:
    return inference.load(trained_model.find(letters.root, "letters"), print)


def said_by_transformers(folder: Path, messages: list[dict[str, str]], most: int) -> str:
    """As a stranger uses the exported folder: its own chat template, its own generation settings."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    found = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=most)[0, len(ids) :]
    return str(tokenizer.decode(found, skip_special_tokens=True))


@pytest.mark.parametrize(
    ("instruction", "input"),
    [("AAAA 7", ""), ("CCCC 2", ""), ("Was ist das? «é»", "eine Zeile\nnoch eine")],
)
def test_a_greedy_answer_is_that_of_generate(
    letters: Workspace, tuned: ChatModel, instruction: str, input: str
) -> None:
    pieces: list[str] = []
    answer = tuned.answer(asked(instruction, input), ChatSettings(max_tokens=40), pieces.append)
    messages = [{"role": "user", "content": instruction} | ({"input": input} if input else {})]
    wanted = said_by_transformers(letters.root / "store" / "export-1" / "merged", messages, 40)
    assert answer.text == wanted and "".join(pieces) == wanted
    assert (answer.end == "ended") == (answer.tokens < 40) and answer.tokens == len(wanted.encode())


def test_one_prompt(letters: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("chat opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    done = chat(letters, "--prompt", "AAAA 7")
    assert done.exit_code == 0 and done.stdout == "one two\n"
    assert (
        f"the merged model of run {RUN}" in done.stderr
        and "template alpaca, sha256 " in done.stderr
    )


def test_a_model_of_a_rehearsal_says_so(letters: Workspace) -> None:
    history = letters.of("letters") / "history.jsonl"
    text = history.read_text()
    try:
        history.write_text(json.dumps(json.loads(text) | {"rehearsal": True}) + "\n")
        said = chat(letters, "--prompt", "AAAA 7").stderr
    finally:
        history.write_text(text)
    assert "tuned in a rehearsal" in said
    assert "rehearsal" not in chat(letters, "--prompt", "AAAA 7").stderr


def test_a_pipe_answers_line_by_line_and_names_the_lines_that_it_could_not(
    letters: Workspace,
) -> None:
    lines = (
        "AAAA 7\n\n"
        + json.dumps({"instruction": "DDDD 1", "input": ""})
        + '\n{"task": "x"}\nAAAA 8\n'
    )
    done = chat(letters, "--json", "--base", "--max-tokens", "20", stdin=lines)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.get("output") for row in rows] == ["one two", "no", None, "one two"]
    assert (
        rows[0]["end"] == "ended"
        and rows[0]["run"] == RUN
        and rows[0]["template"].startswith("alpaca ")
    )
    assert rows[0]["base"]["end"] == "cut" and rows[0]["base"]["output"] != "one two"
    assert rows[2]["line"] == 4 and "no 'instruction'" in rows[2]["error"]
    assert isinstance(done.exception, UserError) and str(done.exception).startswith("line 4: ")


def test_a_pipe_of_plain_text(letters: Workspace) -> None:
    assert chat(letters, stdin="AAAA 7\nDDDD 1\n").stdout == "one two\n\nno\n"


def test_a_seed_repeats_what_is_drawn(letters: Workspace) -> None:
    said = [
        chat(
            letters,
            "--prompt",
            "BBBB 5",
            "--temperature",
            "3",
            "--seed",
            seed,
            "--max-tokens",
            "30",
            "--json",
        ).stdout
        for seed in ("1", "1", "2")
    ]
    one, same, other = (json.loads(line)["output"] for line in said)
    assert one == same != other


def test_a_prompt_longer_than_the_model_is_refused(letters: Workspace, tuned: ChatModel) -> None:
    with pytest.raises(UserError, match="tokens and this model takes 8,192 - make it shorter"):
        tuned.answer(asked("a" * 8200), ChatSettings())


def test_ctrl_c_ends_the_answer_with_what_there_is(tuned: ChatModel) -> None:
    said: list[str] = []

    def third_piece(piece: str) -> None:
        said.append(piece)
        if len(said) == 3:
            raise KeyboardInterrupt

    answer = tuned.answer(asked("AAAA 7"), ChatSettings(), third_piece)
    assert (answer.text, answer.end) == ("one", "stopped")


def test_an_adapter_answers_on_its_base(letters: Workspace, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    from alpaca_pipe.models.loading import load_model, load_tokenizer
    from alpaca_pipe.models.loss_mask import Encoder
    from alpaca_pipe.models.saved_template import save_template
    from alpaca_pipe.models.templates import TEMPLATES
    from alpaca_pipe.weights.base import Checkpoint

    base = trained_model.find(letters.root, "letters").base
    checkpoint = Checkpoint(str(base["model"]))
    adapted = get_peft_model(
        load_model(checkpoint, "float32"),
        LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False),
    )
    folder = tmp_path / "store" / "train-1" / "model"
    adapted.save_pretrained(folder)
    save_template(folder, Encoder(load_tokenizer(checkpoint), TEMPLATES["alpaca-2023"]))
    history(tmp_path, ("2026-11-20T10", {"train": "train-1"}), config={**CONFIG, "base": base})
    found = trained_model.find(tmp_path, "letters")
    assert found.form == "adapter" and found.template[0] == "alpaca-2023"
    tuned = inference.load(found, print)
    assert not tuned.encoder.prompt_text(asked("AAAA 7")).endswith("\n")  # as Stanford's own
    with_adapter = tuned.answer(asked("AAAA 7"), ChatSettings(max_tokens=12)).text
    without = (
        inference.load_base(found, tuned, print)
        .answer(asked("AAAA 7"), ChatSettings(max_tokens=12))
        .text
    )
    assert with_adapter != without
    history(
        tmp_path,
        ("2026-11-20T10", {"train": "train-1"}),
        config={**CONFIG, "base": {"model": str(tmp_path / "gone")}},
    )
    with pytest.raises(UserError, match="the base of letters is not here"):
        inference.load(trained_model.find(tmp_path, "letters"), print)


def test_the_newest_run_that_left_a_model_is_taken_and_said(
    letters: Workspace, tmp_path: Path
) -> None:
    merged = letters.root / "store" / "export-1" / "merged"
    for name in ("export-1", "export-2"):
        (tmp_path / "store" / name).mkdir(parents=True)
        (tmp_path / "store" / name / "merged").symlink_to(merged)
    history(
        tmp_path,
        ("2026-11-20T10", {"export": "export-1"}),
        ("2026-11-21T10", {"export": "export-2"}),
        ("2026-11-22T10", {"curate": "curate-9"}),
    )
    newest, first = (
        trained_model.find(tmp_path, "letters"),
        trained_model.find(tmp_path, "letters", "2026-11-20"),
    )
    assert newest.run == "2026-11-21T10" and "the last run, 2026-11-22T10, made no model" in list(
        newest.lines()
    )
    assert first.run == "2026-11-20T10" and not first.newer


def test_a_run_that_trained_nothing_is_not_all_runs(tmp_path: Path) -> None:
    history(
        tmp_path,
        ("2026-11-21T10", {"train": "train-1"}),
        ("2026-11-22T10", {"curate": "curate-9"}),
    )
    with pytest.raises(UserError, match="the run 2026-11-22T10 trained nothing") as caught:
        trained_model.find(tmp_path, "letters", "2026-11-22T10")
    assert "letters@2026-11-21T10" in caught.value.cure


@pytest.mark.parametrize(
    ("config", "steps", "sentence"),
    [
        (
            CONFIG,
            {"curate": "curate-1"},
            "letters: nothing was trained yet - run `alpaca-pipe run letters`",
        ),
        (
            {"curate": {}},
            {"curate": "curate-1"},
            "nothing was trained, this recipe has no 'train:'",
        ),
        (CONFIG, {"train": "train-1"}, "a model was trained, and its folder is not in"),
    ],
)
def test_without_a_model_one_sentence(
    tmp_path: Path, config: dict[str, object], steps: dict[str, str], sentence: str
) -> None:
    history(tmp_path, ("2026-11-20T10", steps), config=config)
    with pytest.raises(UserError) as error:
        trained_model.find(tmp_path, "letters")
    assert sentence in str(error.value)


def test_json_asks_for_a_prompt_or_a_pipe(
    letters: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alpaca_pipe.chat import main

    trained = trained_model.find(letters.root, "letters")
    monkeypatch.setattr(main.sys.stdin, "isatty", lambda: True, raising=False)
    with pytest.raises(UserError, match="--json is for scripts"):
        main.talk(trained, letters.root, how=ChatSettings(), as_json=True)
    with pytest.raises(UserError, match="--prompt is empty"):
        main.talk(trained, letters.root, how=ChatSettings(), prompt=" ")
