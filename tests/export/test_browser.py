"""The static folder in a real browser: the page answers what llama.cpp answers on the CPU, from this folder alone; and what keeps
a browser from it is one sentence."""

from __future__ import annotations

import asyncio
import functools
import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.export.browser.static_folder import write_folder
from alpaca_pipe.export.browser.wllama_package import PACKAGES, WLLAMA
from alpaca_pipe.export.config import ExportConfig
from alpaca_pipe.export.stage import STAGE
from alpaca_pipe.weights.gguf import cached_path
from alpaca_pipe.weights.known import SMOLLM2
from tests.browser import chromium
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
# what the tiny model was trained on, and what it was not: it then goes on until it is cut off
QUESTIONS = ("AAAA 7", "CCCC 2", "Was ist das? «é»")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        WLLAMA.files()
    except UserError as error:
        pytest.skip(str(error))
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def folder(letters: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("static") / "browser"
    gguf = letters / "store" / "export-1" / "gguf" / "model-f16.gguf"
    write_folder(made, "letters", "F16", [gguf], False, 256)
    return made


@contextmanager
def hosted(folder: Path, **headers: str) -> Iterator[str]:
    """A plain web host with that folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def end_headers(self) -> None:
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/#cpu"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def opened(browser: Browser, url: str, before: str = "") -> Iterator[tuple[Page, list[str]]]:
    """The page, and what it asked for elsewhere or complained of. before: a script that runs before its own."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page, wrong = context.new_page(), []
    page.set_default_timeout(PATIENCE * 1000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("http://127.0.0.1", "file:", "blob:"))
            else wrong.append(request.url)
        ),
    )
    if before:
        page.add_init_script(before)
    page.goto(url)
    yield page, wrong
    context.close()


def answer(page: Page, question: str) -> tuple[str, int, str]:
    """The text, how many tokens came, and how it ended."""
    page.wait_for_selector("#question:enabled")
    count = page.locator("article[data-end]").count()
    page.fill("#question", question)
    page.press("#question", "Enter")
    card = page.locator("article[data-end]").nth(count)
    card.wait_for()
    text = card.locator(".text").text_content() or ""
    return text, int(card.get_attribute("data-tokens") or 0), card.get_attribute("data-end") or ""


def by_llama_cpp(file: Path, questions: tuple[str, ...], tokens: int, log: Path) -> list[Any]:
    from alpaca_pipe.export.gguf.llama_cpp import llama_cpp

    async def ask() -> list[Any]:
        async with llama_cpp(file, 256, log) as server:
            said = [[{"role": "user", "content": question}] for question in questions]
            return [
                (
                    await server.chat(one, tokens),
                    await server.answer(await server.prompt(one), tokens),
                )
                for one in said
            ]

    with ThreadPoolExecutor(1) as other:  # the browser's client keeps this thread's loop
        return other.submit(asyncio.run, ask()).result()


def test_the_page_answers_as_llama_cpp_does(browser: Browser, folder: Path, tmp_path: Path) -> None:
    wanted = by_llama_cpp(folder / "model-f16.gguf", QUESTIONS, 128, tmp_path / "log")
    with hosted(folder) as url, opened(browser, url) as (page, wrong):
        for question, (text, whole) in zip(QUESTIONS, wanted, strict=True):
            found, tokens, end = answer(page, question)
            assert found == text, question
            ended = whole.ids[-1] == 2  # the tiny model's end; a token is a byte
            assert end == ("stop" if ended else "length") and tokens <= len(whole.ids)
        assert wanted[0][0] == "one two"
        assert "single instructions" in (page.text_content("#alone") or "")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "phone width"
        assert not wrong
        # a second visit takes the model from the browser's own store
        page.reload()
        assert answer(page, "AAAA 7")[0] == "one two"


def test_several_threads_answer_the_same(browser: Browser, folder: Path) -> None:
    four = "Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', {get: () => 4})"
    with hosted(folder, **_ISOLATED) as url, opened(browser, url, four) as (page, wrong):
        assert answer(page, "AAAA 7")[0] == "one two"
        page.reload()
        page.wait_for_selector("#question:enabled")
        assert page.text_content("#said") == "Ready: 2 threads" and not wrong


def test_a_browser_without_wasm_and_a_page_from_a_disk_are_one_sentence(
    browser: Browser, folder: Path
) -> None:
    gone = "delete globalThis.WebAssembly"
    with hosted(folder) as url, opened(browser, url, gone) as (page, wrong):
        assert (page.text_content("#said") or "").startswith("This browser has no WebAssembly")
        assert page.is_disabled("#question") and not wrong
    with opened(browser, (folder / "index.html").as_uri()) as (page, wrong):
        assert "python3 -m http.server" in (page.text_content("#said") or "") and not wrong


def test_a_model_cut_short_is_one_sentence(browser: Browser, folder: Path, tmp_path: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(folder)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes()[: 5000 if path.suffix == ".gguf" else None])
    with hosted(tmp_path) as url, opened(browser, url) as (page, _):
        page.wait_for_selector("#said.bad")
        assert "model-f16.gguf is cut short: 5000 bytes of" in (page.text_content("#said") or "")


_TIE = 0.1  # of logits: WASM and this CPU add in another order, so closer first choices may change places


@pytest.mark.slow
@pytest.mark.local
def test_the_embedded_model_answers_alike(browser: Browser, tmp_path: Path) -> None:
    """The same tokens, up to the first place where two choices are as good as equal."""
    file = cached_path(SMOLLM2)
    if not file.is_file():
        pytest.skip("the embedded model is not here: `alpaca-pipe setup local` fetches it")
    questions = ("Name three herbs.", "What is the capital of France?")
    write_folder(tmp_path / "browser", "SmolLM2", "Q4_1", [file], True, 96)
    told = tokens_by_llama_cpp(file, questions, 48, tmp_path / "log")
    with hosted(tmp_path / "browser") as url, opened(browser, url) as (page, wrong):
        for question, tokens in zip(questions, told, strict=True):
            rest = answer(page, question)[0]
            page.click("#new")
            for place, (token, others) in enumerate(tokens):
                if not rest.startswith(token):
                    gap = min(gap for other, gap in others.items() if rest.startswith(other))
                    assert gap < _TIE, (question, place, token, rest)
                    break
                rest = rest[len(token) :]
            else:
                assert not rest
        assert not wrong


def tokens_by_llama_cpp(
    file: Path, questions: tuple[str, ...], most: int, log: Path
) -> list[list[tuple[str, dict[str, float]]]]:
    """Each greedy token's text, and how far behind it others were: text -> difference of logits."""
    from alpaca_pipe.export.gguf.llama_cpp import llama_cpp

    async def ask() -> list[Any]:
        async with llama_cpp(file, 256, log) as server:
            said = {"max_tokens": most, "temperature": 0, "top_k": 1, "cache_prompt": False}
            said |= {"logprobs": True, "top_logprobs": 8}
            found = []
            for question in questions:
                asked = {"messages": [{"role": "user", "content": question}]}
                reply = await server._post("/v1/chat/completions", said | asked)
                found.append(reply["choices"][0]["logprobs"]["content"])
            return found

    with ThreadPoolExecutor(1) as other:
        whole = other.submit(asyncio.run, ask()).result()
    return [
        [
            (one["token"], {o["token"]: one["logprob"] - o["logprob"] for o in one["top_logprobs"]})
            for one in answer
            if one["token"] != "<|im_end|>"
        ]
        for answer in whole
    ]


def test_the_folder_holds_all_that_the_page_asks_for(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    assert "default-src 'none'" in text and "unsafe-inline" not in text and "https://" not in text
    assert {path.name for path in (folder / "wllama").iterdir()} == set(WLLAMA.files())
    assert "Cross-Origin-Embedder-Policy" in (folder / "_headers").read_text()


def test_what_was_not_fetched_or_was_changed_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    for config in ({"gguf": ("q4_0",), "browser": True},):
        assert STAGE.prove
        with pytest.raises(UserError, match="not on this machine.*setup browser"):
            STAGE.prove(ExportConfig(**config), {"train": {}}, print)
    (tmp_path / "npm").mkdir()
    other = tmp_path / "npm" / PACKAGES[0].tarball.rpartition("npmjs.org/")[2]
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another tarball")
    with hosted(tmp_path / "npm") as url:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", url.removesuffix("/#cpu"))
        with pytest.raises(UserError, match="another sha512"):
            WLLAMA.fetch(lambda said: None)
    with pytest.raises(UserError, match="could not be fetched"):
        WLLAMA.fetch(lambda said: None)
    assert not (tmp_path / "cache" / "npm").exists()


def test_the_key_needs_a_gguf_and_leaves_sealed_steps_alone() -> None:
    with pytest.raises(ValueError, match=r"set gguf: \[q4_0\]"):
        ExportConfig(browser=True)
    assert "browser" not in ExportConfig(gguf=("q4_0",)).identity()
    assert "page" in ExportConfig(gguf=("q4_0",), browser=True).identity()
