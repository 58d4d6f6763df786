"""The ONNX export: the graph is the model, a changed one is refused, and the page answers in a real browser what transformers does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json
from alpaca_pipe.export.config import ExportConfig
from alpaca_pipe.export.onnx.transformers_js import TRANSFORMERS_JS
from alpaca_pipe.export.stage import STAGE
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.saved_template import saved_encoder
from alpaca_pipe.weights.base import Checkpoint
from tests.browser import chromium
from tests.evaluate.conftest import rows
from tests.export.test_browser import QUESTIONS, answer, hosted, opened
from tests.once import once

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def folder(letters: Path) -> Path:
    """The page with the tiny tuned model. Read it, never write into it."""
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed, reason=f"{needed} is not here (the extra `onnx`)")
    try:
        TRANSFORMERS_JS.files()
    except UserError as error:
        pytest.skip(str(error))

    def export(home: Path) -> None:
        from alpaca_pipe.export.onnx.onnx_folder import write_onnx_folder

        merged = letters / "store" / "export-1" / "merged"
        encoder = saved_encoder(load_tokenizer(Checkpoint(str(merged))), merged)
        found = write_onnx_folder(
            merged, home / "onnx", "letters", encoder, rows(0, 4), lambda said: None
        )
        assert found["differing"] == 0 and found["positions"] > 50 and found["largest"] < 1e-3

    return once("letters-with-onnx", export) / "onnx"


def by_transformers(merged: Path, question: str, most: int) -> tuple[list[int], str]:
    """The greedy answer of the checkpoint, by transformers' own loop."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(merged)
    model = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
    asked = words.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    made = model.generate(**asked, max_new_tokens=most, do_sample=False)
    ids = made[0, asked["input_ids"].shape[1] :].tolist()
    return ids, words.decode(ids, skip_special_tokens=True)


def test_the_page_answers_as_transformers_does(
    browser: Browser, folder: Path, letters: Path
) -> None:
    merged = letters / "store" / "export-1" / "merged"
    most = read_json(folder / "model" / "config.json")["max_position_embeddings"]
    assert most > 512
    wanted = [by_transformers(merged, question, 512) for question in QUESTIONS]
    with hosted(folder) as url, opened(browser, url) as (page, wrong):
        for question, (ids, text) in zip(QUESTIONS, wanted, strict=True):
            found, tokens, end = answer(page, question)
            card = page.locator("article[data-end]").last
            assert [int(one) for one in (card.get_attribute("data-ids") or "").split()] == ids
            assert found == text and tokens == len(ids), question
            assert end == ("stop" if ids[-1] == 2 else "length")
        assert wanted[0][1] == "one two"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "phone width"
        assert not wrong
        page.reload()  # a second visit takes the model from the browser's own store
        assert answer(page, "AAAA 7")[0] == "one two"


def test_several_threads_answer_the_same(browser: Browser, folder: Path) -> None:
    four = "Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', {get: () => 4})"
    with hosted(folder, **_ISOLATED) as url, opened(browser, url, four) as (page, wrong):
        assert answer(page, "AAAA 7")[0] == "one two"
        assert page.evaluate("crossOriginIsolated") and not wrong


def test_a_browser_without_wasm_and_a_page_from_a_disk_are_one_sentence(
    browser: Browser, folder: Path
) -> None:
    gone = "delete globalThis.WebAssembly"
    with hosted(folder) as url, opened(browser, url, gone) as (page, wrong):
        assert (page.text_content("#said") or "").startswith("This browser has no WebAssembly")
        assert page.is_disabled("#question") and not wrong
    with opened(browser, (folder / "index.html").as_uri()) as (page, wrong):
        assert "python3 -m http.server" in (page.text_content("#said") or "") and not wrong


def test_files_that_are_cut_or_of_another_tokenizer_are_one_sentence(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "page")
    data = tmp_path / "page" / "model" / "onnx" / "model.onnx_data"
    data.write_bytes(data.read_bytes()[:5000])
    with hosted(tmp_path / "page") as url, opened(browser, url) as (page, _):
        page.wait_for_selector("#said.bad")
        assert "model.onnx_data is cut short: 5000 bytes of" in (page.text_content("#said") or "")
        assert page.is_disabled("#question")
    words = tmp_path / "page" / "model" / "tokenizer_config.json"
    text = words.read_text()
    changed = text.replace('"chat_template":"', '"chat_template":" ').replace(
        '"chat_template": "', '"chat_template": " '
    )
    assert changed != text
    words.write_text(changed)
    index = tmp_path / "page" / "index.html"  # the page knows another size of it
    index.write_text(
        index.read_text().replace(
            f'tokenizer_config.json","bytes":{len(text.encode())}',
            f'tokenizer_config.json","bytes":{len(changed.encode())}',
        )
    )
    with hosted(tmp_path / "page") as url, opened(browser, url) as (page, _):
        page.wait_for_selector("#said.bad")
        said = page.text_content("#said") or ""
        assert "makes other tokens of a text than the training did" in said
        assert page.is_disabled("#question")


def random_model(kind: str, **more: Any) -> Any:
    """Of two layers, with this architecture."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {
        "vocab_size": 300,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "sliding_window": None,
        "tie_word_embeddings": kind != "mistral",
    }
    torch.manual_seed(7)
    config = AutoConfig.for_model(kind, **shape | more)
    model = AutoModelForCausalLM.from_config(config).eval()
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data *= 8  # else every logit of a random model is as good as the next
    return model


PROMPTS = [[1, 5, 9, 200], [7], list(range(3, 60))]


@pytest.mark.parametrize(
    "kind",
    ["qwen3", *(pytest.param(k, marks=pytest.mark.slow) for k in ("llama", "mistral", "qwen2"))],
)
def test_every_architecture_that_is_taken_passes(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not here")
    from alpaca_pipe.export.onnx.onnx_gate import onnx_gate
    from alpaca_pipe.export.onnx.write_onnx import TAKEN, write_onnx

    assert kind in TAKEN and len(TAKEN) == 4  # a new one is tried here first
    model = random_model(kind)
    write_onnx(model, tmp_path / "model.onnx")
    figures = onnx_gate(tmp_path / "model.onnx", model, PROMPTS, {2})
    assert figures.answers == 3 and figures.positions > 60 and figures.differing == 0
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.onnx_data"}


def test_the_gate_refuses_a_model_that_is_another(tmp_path: Path) -> None:
    """One tensor of one layer, as an exporter would mistake it; and a file that is cut."""
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not here")
    from alpaca_pipe.export.onnx.onnx_gate import onnx_gate
    from alpaca_pipe.export.onnx.write_onnx import write_onnx

    model, file = random_model("llama"), tmp_path / "model.onnx"
    write_onnx(model, file)
    keys = model.model.layers[1].self_attn.k_proj.weight
    kept = keys.data.clone()
    keys.data = kept.roll(1, 0)
    with pytest.raises(
        UserError, match="model.onnx is not the model that was trained: at .* says another"
    ):
        onnx_gate(file, model, PROMPTS, {2})
    keys.data = kept
    bias = model.lm_head.weight
    bias.data = bias.data * 1.01  # the same first choices, other probabilities
    with pytest.raises(UserError, match="its logits are .* from the trained model's"):
        onnx_gate(file, model, PROMPTS, {2})
    data = tmp_path / "model.onnx_data"
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(UserError, match="ONNX Runtime does not load model.onnx"):
        onnx_gate(file, model, PROMPTS, {2})


def test_a_folder_that_fails_its_gate_is_not_left(
    letters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not here")
    from alpaca_pipe.export.onnx import onnx_folder

    merged = letters / "store" / "export-1" / "merged"
    encoder = saved_encoder(load_tokenizer(Checkpoint(str(merged))), merged)
    true = load_model

    def another(checkpoint: Checkpoint, dtype: str) -> Any:
        model: Any = true(checkpoint, dtype)
        write = onnx_folder.write_onnx

        def changed(found: Any, file: Path) -> None:
            write(found, file)
            found.model.layers[0].mlp.down_proj.weight.data *= -1  # what was "trained" is another

        monkeypatch.setattr(onnx_folder, "write_onnx", changed)
        return model

    monkeypatch.setattr(onnx_folder, "load_model", another)
    with pytest.raises(UserError, match="is not the model that was trained"):
        onnx_folder.write_onnx_folder(
            merged, tmp_path / "onnx", "x", encoder, rows(0, 4), lambda said: None
        )
    assert not (tmp_path / "onnx").exists()


def test_what_cannot_be_exported_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    pytest.importorskip("onnxscript", reason="the extra `onnx` is not here")
    import onnx_ir

    from alpaca_pipe.export.onnx import write_onnx as writing

    file = tmp_path / "model.onnx"
    with pytest.raises(UserError, match="this base is of type 'olmo2'"):
        writing.write_onnx(random_model("olmo2"), file)
    with pytest.raises(UserError, match="this base slides a window"):
        writing.write_onnx(random_model("mistral", sliding_window=8), file)
    model = random_model("llama")
    with monkeypatch.context() as patched:
        patched.setattr(writing, "_LARGEST", 1000)
        with pytest.raises(UserError, match="a browser loads 2 GB at most - .*export.browser"):
            writing.write_onnx(model, file)

    def full(*told: Any, **how: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(onnx_ir, "save", full)
        with pytest.raises(UserError, match="model.onnx cannot be written: No space left.*MB free"):
            writing.write_onnx(model, file)
    assert STAGE.prove
    with monkeypatch.context() as patched:
        patched.setattr(writing, "find_spec", lambda name: None if name == "onnxruntime" else name)
        with pytest.raises(
            UserError, match=r"onnxruntime is not there - pip install 'alpaca-pipe\[onnx"
        ):
            STAGE.prove(ExportConfig(onnx=True), {"train": {}}, print)
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="not on this machine.*setup onnx"):
        STAGE.prove(ExportConfig(onnx=True), {"train": {}}, print)


def test_the_key_leaves_sealed_steps_alone() -> None:
    with pytest.raises(ValueError, match="remove onnx"):
        ExportConfig(merge=False, onnx=True)
    assert not {"onnx", "onnx_page"} & set(ExportConfig().identity())
    assert {"onnx", "onnx_page"} <= set(ExportConfig(onnx=True).identity())
    assert "page" not in ExportConfig(onnx=True).identity()


def test_the_folder_holds_all_that_the_page_asks_for(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    assert "default-src 'none'" in text and "unsafe-inline" not in text and "https://" not in text
    assert {path.name for path in (folder / "transformers").iterdir()} == set(
        TRANSFORMERS_JS.files()
    )
    words = read_json(folder / "model" / "tokenizer_config.json")
    assert "AAAA" not in text and "BBBB" not in text  # rows of the user's stay out of a public page
    assert words["chat_template"]  # Transformers.js reads no chat_template.jinja


def test_the_graph_names_no_path_of_this_machine(folder: Path) -> None:
    graph = (folder / "model" / "onnx" / "model.onnx").read_bytes()
    assert not [word for word in (b"site-packages", b".py", b"stack_trace") if word in graph]
