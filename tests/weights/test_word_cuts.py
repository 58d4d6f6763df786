"""A GGUF's texts get the ids of its pre-training: each name for a cut is held against llama.cpp, which is another program."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.weights import checkpoint, llama_cpp_ids
from alpaca_pipe.weights.base import BaseTable
from alpaca_pipe.weights.checkpoint import export_gguf, exported_path
from alpaca_pipe.weights.gguf_header import NoGguf, read_gguf_header
from alpaca_pipe.weights.word_cuts import CUTS, read_otherwise

np = pytest.importorskip("numpy")
gguf = pytest.importorskip("gguf")
pytest.importorskip("transformers")

PIECES = (
    *("don", "'t", "'LL", "12", "3", "٣", "A", "bc", "Éa", "日本", "、", "e\u0301", "😀", "\u00a0"),
    *(" ", " ", "  ", "\n", "\n\n", "\r\n", "\t", ".", "!!", "/", "(", "$", "-", "_"),
)


def scrambled(count: int) -> list[str]:
    return ["".join(random.Random(n).choices(PIECES, k=12)) for n in range(count)]


@pytest.fixture(scope="module")
def words() -> dict[str, list[str]]:
    """A vocabulary whose merges cross whatever a text is cut at, so that each cut shows; 30 tokens have no merge."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    plan = Tokenizer(models.BPE())
    plan.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    plan.train_from_iterator(
        [*scrambled(3000), *llama_cpp_ids.SAMPLES * 20],
        trainers.BpeTrainer(
            vocab_size=2500,
            special_tokens=["<unk>", "<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=10,
            show_progress=False,
        ),
    )
    found = json.loads(plan.to_str())["model"]
    return {
        "tokens": sorted(found["vocab"], key=found["vocab"].get),
        "merges": [" ".join(pair) for pair in found["merges"]][:-30],
    }


def write_gguf(path: Path, words: Mapping[str, list[str]], cut: str | None, **flags: bool) -> Path:
    """A llama of one layer in random numbers."""
    tokens, random_numbers = words["tokens"], np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    for add, value in (
        ("context_length", 512),
        ("embedding_length", 32),
        ("block_count", 1),
        ("feed_forward_length", 32),
        ("head_count", 2),
        ("head_count_kv", 2),
        ("layer_norm_rms_eps", 1e-5),
        ("rope_dimension_count", 16),
        ("vocab_size", len(tokens)),
        ("tokenizer_model", "gpt2"),
        ("token_list", tokens),
        ("token_types", [3] * 3 + [1] * (len(tokens) - 3)),
        ("token_merges", words["merges"]),
        ("unk_token_id", 0),
        ("bos_token_id", 1),
        ("eos_token_id", 2),
        *flags.items(),
    ):
        getattr(writer, f"add_{add}")(value)
    if cut is not None:
        writer.add_tokenizer_pre(cut)
    square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes: dict[str, tuple[int, ...]] = {f"blk.0.{name}.weight": (32, 32) for name in square}
    shapes |= {"token_embd.weight": (len(tokens), 32), "output.weight": (len(tokens), 32)}
    shapes |= {
        f"{name}.weight": (32,) for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")
    }
    for name, shape in shapes.items():
        writer.add_tensor(name, random_numbers.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def check(cut: str, words: Mapping[str, list[str]], folder: Path, texts: list[str]) -> None:
    from transformers import AutoTokenizer

    file = write_gguf(folder / "model.gguf", words, cut)
    made = export_gguf(file)
    found = AutoTokenizer.from_pretrained(made)
    texts = [text for text in texts if CUTS[cut].alike or text.isascii()]
    theirs = llama_cpp_ids.asked(file, texts)
    assert theirs is not None
    assert [found(text)["input_ids"] for text in texts] == theirs
    alone = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
    differs = [alone(text)["input_ids"] for text in texts] != theirs
    assert differs == read_otherwise(cut)
    assert made.name.endswith("-cut") == differs


# one of each kind; the others are their synonyms, and slow
_OF_EACH = ("smollm", "gpt-2", "llama-bpe", "qwen2", "tekken", "gpt-4o", "dbrx")


@pytest.mark.parametrize("cut", _OF_EACH)
def test_ids_are_those_of_llama_cpp(
    cut: str, words: dict[str, list[str]], cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("xllamacpp")
    check(cut, words, tmp_path, [*llama_cpp_ids.SAMPLES, *scrambled(60)])


@pytest.mark.slow
@pytest.mark.parametrize("cut", sorted(set(CUTS) - set(_OF_EACH)))
def test_ids_are_those_of_llama_cpp_by_every_name(
    cut: str, words: dict[str, list[str]], cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("xllamacpp")
    check(cut, words, tmp_path, [*llama_cpp_ids.SAMPLES, *scrambled(200)])


@pytest.mark.parametrize(
    ("cut", "says"), [("whoever-9", "tokenizer.ggml.pre = whoever-9"), (None, "does not say how")]
)
def test_an_unknown_cut_is_refused(
    cut: str | None, says: str, words: dict[str, list[str]], cache: Path, tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "model.gguf", words, cut)
    with pytest.raises(UserError, match=says) as failed:
        export_gguf(file)
    assert "org/name" in failed.value.cure and not list(cache.rglob("*.safetensors"))


def test_a_tokenizer_that_llama_cpp_contradicts_is_refused(
    words: dict[str, list[str]], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    file = write_gguf(tmp_path / "model.gguf", words, "smollm")
    monkeypatch.setattr(checkpoint, "cut_as", lambda *given: None)
    with pytest.raises(UserError, match=r"other ids than llama.cpp for \d+ of 14 texts"):
        export_gguf(file)
    assert not list(cache.rglob("*.safetensors"))


def test_a_file_that_says_no_bos_gets_none(
    words: dict[str, list[str]], cache: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    for says, ids in ((None, [1]), (True, [1]), (False, [])):
        flags = {} if says is None else {"add_bos_token": says}
        file = write_gguf(tmp_path / f"{says}.gguf", words, "llama-bpe", **flags)
        made = AutoTokenizer.from_pretrained(export_gguf(file))
        assert made("A")["input_ids"][: len(ids)] == ids and len(made("A")["input_ids"]) == 1 + len(
            ids
        )


def test_a_checkpoint_of_before_is_made_anew_with_a_word(
    words: dict[str, list[str]], cache: Path, tmp_path: Path
) -> None:
    """Only where its ids were other ones; what was trained on them is another step."""
    said: list[str] = []
    for cut, anew in (("smollm", True), ("qwen2", False)):
        file = write_gguf(tmp_path / f"{cut}.gguf", words, cut)
        whole = exported_path(file)
        former = whole.with_name(whole.name.removesuffix("-cut"))
        former.mkdir(parents=True)
        made = export_gguf(file, said.append)
        assert (made != former) == anew
        assert ("cut" in BaseTable(model=file).identity()) == anew
    assert sum("it is made again" in one for one in said) == 1


def test_a_known_weight_says_the_cut_that_its_file_has() -> None:
    from alpaca_pipe.weights.gguf import cached_path
    from alpaca_pipe.weights.known import KNOWN

    assert "cut" in BaseTable(model="smollm2-135m-instruct").identity()
    for known in KNOWN.values():
        if cached_path(known).is_file():
            assert read_gguf_header(cached_path(known)).cut == known.cut


def test_missing_weights_of_a_gguf_are_not_drawn(
    words: dict[str, list[str]], cache: Path, tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "model.gguf", words, "smollm")
    data = file.read_bytes()
    file.write_bytes(data.replace(b"blk.0.ffn_up.weight", b"blk.0.ffn_xx.weight"))
    with pytest.raises(UserError, match="it lacks 1 weights|no place|ffn_xx"):
        export_gguf(file)
    assert not list(cache.rglob("*.safetensors"))


def test_a_file_cut_short_is_told_from_its_header(
    words: dict[str, list[str]], tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "model.gguf", words, "smollm")
    data = file.read_bytes()
    header = read_gguf_header(file)
    assert header.tensors["token_embd.weight"] == ((len(words["tokens"]), 32), 0)
    assert header.metadata["llama.embedding_length"] == 32
    for size in (len(data) - 40, 2000, 10, 0):
        (tmp_path / "short.gguf").write_bytes(data[:size])
        with pytest.raises(NoGguf, match="cut short|bytes, which no GGUF has"):
            read_gguf_header(tmp_path / "short.gguf")


def test_modes_are_those_of_the_umask(
    words: dict[str, list[str]], cache: Path, tmp_path: Path
) -> None:
    import os
    import stat

    before = os.umask(0o022)
    try:
        made = export_gguf(write_gguf(tmp_path / "model.gguf", words, "smollm"))
    finally:
        os.umask(before)
    modes: dict[str, Any] = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()
    }
    assert set(modes.values()) == {0o644} and stat.S_IMODE(made.stat().st_mode) == 0o755
