"""Ollama's template says what the chat template says: by Go itself where it is installed, else by a reader of the few actions that
are used, written apart from the writer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.export.gguf.modelfile import Blocks, blocks, modelfile
from alpaca_pipe.models.chat_format import ChatFormat
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.tiny import build_tiny

pytest.importorskip("transformers")

Chat = list[dict[str, str]]
CHATS: list[Chat] = [
    [{"role": "user", "content": 'Say {{ hi }} "now".'}],
    [
        {"role": "user", "content": "One\n\ntwo"},
        {"role": "assistant", "content": "Three."},
        {"role": "user", "content": "Four?"},
    ],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
        {"role": "user", "content": "e"},
    ],
]


def rendered(template: str, chat: Chat) -> str:
    """Go's text/template, as far as a Modelfile here goes: strings, fields, if, else if, range and end."""
    parts = [part for part in re.split(r"(\{\{.*?\}\})", template, flags=re.DOTALL) if part]
    system = "\n\n".join(one["content"] for one in chat if one["role"] == "system")
    top: dict[str, Any] = {"System": system, "Messages": chat, "Response": ""}
    top["Prompt"] = next((m["content"] for m in reversed(chat) if m["role"] == "user"), "")
    text, place = _block(parts, 0, top, True)
    assert place == len(parts)
    return text


def _holds(test: str, scope: dict[str, Any]) -> bool:
    if found := re.fullmatch(r'eq \.Role "(\w+)"', test):
        return bool(scope["role"] == found[1])
    if test.startswith("not ."):
        return not scope[test[5:]]
    return bool(scope[test[1:]])


def _block(parts: list[str], place: int, scope: dict[str, Any], live: bool) -> tuple[str, int]:
    """Up to its own end or else, which is left to the caller."""
    text = ""
    while place < len(parts):
        part = parts[place]
        if not part.startswith("{{"):
            text, place = text + part, place + 1
            continue
        action = part[2:-2].strip()
        if action == "end" or action.startswith("else"):
            return text, place
        place += 1
        if action.startswith('"'):
            text += json.loads(action)
        elif action.startswith("range"):
            start = place
            for message in scope["Messages"]:
                inner, place = _block(parts, start, message | {"Content": message["content"]}, live)
                text += inner
            place += 1
        elif action.startswith("if "):
            inner, place = _choice(parts, place, action[3:], scope)
            text += inner
        else:
            text += str(scope[action[1:]])
    return text, place


def _choice(parts: list[str], place: int, test: str, scope: dict[str, Any]) -> tuple[str, int]:
    chosen, done = "", False
    while True:
        holds = not done and (test == "" or _holds(test, scope))
        inner, place = _block(parts, place, scope, holds)
        if holds:
            chosen, done = inner, True
        action = parts[place][2:-2].strip()
        place += 1
        if action == "end":
            return chosen, place
        test = action.removeprefix("else").strip().removeprefix("if ").strip()


def template_of(text: str) -> str:
    found = re.search(r'TEMPLATE """(.*?)"""', text, flags=re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("base")
    build_tiny(folder)
    return load_tokenizer(Checkpoint(str(folder)))


def written(form: ChatFormat, chat: Chat) -> str:
    return form.write([dict(one) for one in chat], True)


@pytest.mark.parametrize("name", ["chat", "vicuna"])
def test_many_turns_render_alike(tokenizer: Any, name: str) -> None:
    form = ChatFormat.of(tokenizer, TEMPLATES[name])
    found = blocks(form, "")
    text = template_of(modelfile("model-f16.gguf", found, ["</s>"]))
    for chat in CHATS if form.takes_system else CHATS[:2]:
        assert rendered(text, chat) == written(form, chat)
        if shutil.which("go"):
            assert by_go(text, chat) == written(form, chat)


def test_the_beginning_that_llama_cpp_writes_is_left_out(tokenizer: Any) -> None:
    form = ChatFormat.of(tokenizer, TEMPLATES["vicuna"])
    bos = tokenizer.bos_token
    assert written(form, CHATS[0]).startswith(bos)
    text = template_of(modelfile("m", blocks(form, bos), []))
    assert bos + rendered(text, CHATS[0]) == written(form, CHATS[0])


def test_a_single_exchange_is_told(tokenizer: Any) -> None:
    form = ChatFormat.of(tokenizer, TEMPLATES["alpaca"])
    text = modelfile("model-q8_0.gguf", blocks(form, ""), ["</s>", "\n\n###"])
    assert rendered(template_of(text), CHATS[0]) == written(form, CHATS[0])
    assert "single exchanges" in text and 'PARAMETER stop "\\n\\n###"' in text


def test_a_template_that_counts_is_left_to_the_gguf(tokenizer: Any) -> None:
    """One that writes the number of each turn cannot be said as blocks."""
    kept = tokenizer.chat_template
    tokenizer.chat_template = (
        "{% for m in messages %}{{ loop.index }}:{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}{{ messages|length + 1 }}:assistant:{% endif %}"
    )
    try:
        form = ChatFormat.of(tokenizer, TEMPLATES["chat"])
    finally:
        tokenizer.chat_template = kept
    assert blocks(form, "") is None
    text = modelfile("model-f16.gguf", None, ["</s>"])
    assert "TEMPLATE" not in text and "uses the one in the GGUF" in text


def test_default_system_texts_stand_only_where_none_is_given() -> None:
    made = Blocks("<S>default</S>", "<S>", "</S>", "<U>", "</U><A>", " ", "</A>")
    text = template_of(modelfile("m", made, []))
    for chat in CHATS:
        assert rendered(text, chat) == made.render([dict(one) for one in chat])


GO = """package main
import ("encoding/json"; "os"; "strings"; "text/template")
type M struct { Role, Content string }
func main() {
  var said struct { Template string; Chat []M }
  json.NewDecoder(os.Stdin).Decode(&said)
  system, prompt := []string{}, ""
  for _, m := range said.Chat { if m.Role == "system" { system = append(system, m.Content) }; if m.Role == "user" { prompt = m.Content } }
  values := map[string]any{"Messages": said.Chat, "System": strings.Join(system, "\\n\\n"), "Prompt": prompt, "Response": ""}
  template.Must(template.New("").Parse(said.Template)).Execute(os.Stdout, values)
}
"""


def by_go(text: str, chat: Chat) -> str:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "main.go"
        file.write_text(GO)
        said = json.dumps({"Template": text, "Chat": chat})
        done = subprocess.run(
            ["go", "run", str(file)], input=said, capture_output=True, text=True, check=True
        )
    return done.stdout
