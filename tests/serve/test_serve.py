"""`serve`: OpenAI's own client is answered by llama.cpp and by `transformers serve`; the process ends with its child; and what
cannot be served is one sentence."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.command import command
from tests.serve.conftest import served
from tests.waiting import until

QUESTION: Any = [{"role": "user", "content": "AAAA 7"}]


@pytest.fixture(scope="module")
def address(letters: Path) -> Iterator[str]:
    with served("letters", "--runs", str(letters)) as (url, _):
        yield url


def client(url: str, key: str = "none") -> Any:
    import openai

    return openai.OpenAI(base_url=url, api_key=key, max_retries=0)


def status(
    url: str,
    headers: Mapping[str, str] | None = None,
    said: Any = None,
) -> tuple[int, Any]:
    body = None if said is None else json.dumps(said).encode()
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_the_openai_client_is_answered_whole_and_in_pieces(address: str) -> None:
    asked = client(address)
    assert [model.id for model in asked.models.list()] == ["letters", "letters-base"]
    whole = asked.chat.completions.create(model="letters", messages=QUESTION, temperature=0)
    assert whole.choices[0].message.content == "one two" and whole.model == "letters"
    assert whole.choices[0].finish_reason == "stop" and whole.usage.completion_tokens == 8
    pieces = asked.chat.completions.create(
        model="letters", messages=QUESTION, temperature=0, stream=True
    )
    said = [piece.choices[0].delta.content or "" for piece in pieces if piece.choices]
    assert "".join(said) == "one two" and len([one for one in said if one]) > 2


def test_nothing_of_llama_cpp_is_reached_but_openais_own(address: str) -> None:
    root = address.removesuffix("/v1")
    assert status(f"{root}/health")[0] == 200
    for path in ("/slots", "/props", "/metrics", "/lora-adapters", "/tokenize", "/completion"):
        assert status(root + path)[0] == 404, path
        assert status(root + path, said={})[0] == 404, path
    code, says = status(f"{address}/embeddings", said={})
    assert code == 404 and says["error"]["message"] == "there is no /v1/embeddings here"
    assert status(f"{address}/../slots", said={})[0] == 404


def test_what_is_asked_wrongly_is_said(address: str) -> None:
    chat = f"{address}/chat/completions"
    code, says = status(chat, said={"model": "gpt-6", "messages": QUESTION})
    assert code == 404 and "'gpt-6' is not served here: letters" in says["error"]["message"]
    assert status(chat, said=[1])[0] == 400


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost:1"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_of_another_site_is_refused(
    address: str, headers: Mapping[str, str], code: int
) -> None:
    assert status(f"{address}/models", headers)[0] == code


def test_a_key_is_asked_for(letters: Path) -> None:
    import openai

    with served("letters", "--runs", str(letters), ALPACA_PIPE_SERVE_KEY="s3cret") as (url, _):
        for wrong in ("none", "s3cre", "s3crett"):
            with pytest.raises(openai.AuthenticationError):
                client(url, wrong).models.list()
        reply = client(url, "s3cret").chat.completions.create(
            model="letters", messages=QUESTION, temperature=0
        )
        assert reply.choices[0].message.content == "one two"
        assert status(url.removesuffix("/v1") + "/health")[0] == 401


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_its_child(letters: Path, number: signal.Signals) -> None:
    with served("letters", "--runs", str(letters)) as (_, process):
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(number)
        assert process.wait() == 0
        until(lambda: not any(child.is_running() for child in children))
        assert process.stderr is not None and process.stderr.read().endswith("stopped\n")


def test_a_kill_leaves_no_child(letters: Path) -> None:
    with served("letters", "--runs", str(letters)) as (_, process):
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        until(lambda: not any(child.is_running() for child in children))


def test_an_engine_that_dies_is_one_sentence(letters: Path) -> None:
    with served("letters", "--runs", str(letters)) as (_, process):
        psutil.Process(process.pid).children()[0].kill()
        assert process.wait() == 2
        assert process.stderr is not None
        said = process.stderr.read()
        assert "the local server ended (killed by signal 9)" in said and "start it again" in said


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))),
    reason="needs the extra `serve`",
)
def test_transformers_answers_the_same(letters: Path) -> None:
    words = ("letters", "--runs", str(letters), "--engine", "transformers")
    with served(*words) as (url, process):
        reply = client(url).chat.completions.create(
            model="letters", messages=QUESTION, temperature=0
        )
        assert reply.choices[0].message.content == "one two"
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 2
        process.kill()
        until(lambda: not any(child.is_running() for child in children))


def test_a_port_in_use_is_one_sentence(workspace: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("serve", "letters", "--port", str(port), cwd=workspace.parent)
    assert done.code == 2 and f"port {port} of this machine is in use" in done.err
    assert "--port" in done.err and "Traceback" not in done.err


def test_what_cannot_be_served_is_one_sentence(workspace: Path) -> None:
    home = workspace.parent
    merged, files = (workspace / "store" / "export-1" / name for name in ("merged", "gguf"))
    bare = home / "bare"
    bare.mkdir()
    (bare / "merged").symlink_to(merged.resolve())
    whole = (files / "model-q8_0.gguf").read_bytes()
    (home / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    (home / "no.gguf").write_text("nothing of the kind, but for its name")

    def sentence(*words: str) -> str:
        done = command("serve", *words, "--port", "0", cwd=home)
        assert done.code == 2 and "Traceback" not in done.err and not done.out
        return done.err

    assert "there is no file gone.gguf" in sentence("gone.gguf")
    assert "cut.gguf is cut short: it has" in sentence("cut.gguf")
    assert "no.gguf does not begin as a GGUF does" in sentence("no.gguf")
    (home / "part-00001-of-00002.gguf").write_bytes(whole)
    assert "1 of its parts are not beside it" in sentence("part-00001-of-00002.gguf")
    assert "holds no f17 file - did you mean 'f16'" in sentence("letters", "--gguf", "f17")
    assert "vLLM is not installed" in sentence("letters", "--engine", "vllm")
    assert "unknown" in sentence("unknown")
    (workspace / "store" / "export-1").unlink()
    (workspace / "store" / "export-1").symlink_to(bare)
    said = sentence("letters", "--engine", "llama.cpp")
    assert "there is no GGUF of it - run `alpaca-pipe run letters 'export.gguf=[q4_0]'`" in said
    assert "no GGUF was exported" in sentence("letters", "--gguf", "q8_0")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("smollm2-135m-instruct", "--gguf", "q4_0"), "--gguf q4_0 chooses among several files"),
        (("one.gguf", "--gguf", "q4_0"), "and one.gguf is one"),
    ],
)
def test_a_choice_among_files_of_one_is_refused(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    from tests.command import command

    (tmp_path / "one.gguf").write_bytes(b"GGUF")
    done = command("serve", *words, "--port", "0", cwd=tmp_path)
    assert done.code == 2 and said in done.err
