"""A GGUF passes the gate when it is the trained model, and is refused when one thing about it is not: template, stop token,
order of a tensor, vocabulary, a weight."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.export.config import ExportConfig
from alpaca_pipe.export.gguf import build, write_gguf
from alpaca_pipe.export.gguf.architecture_keys import GgufArchitecture
from alpaca_pipe.export.gguf.build import ggufs
from alpaca_pipe.export.gguf.quantized import LARGEST_F16
from alpaca_pipe.export.gguf.tensors import weights
from alpaca_pipe.export.gguf.vocabulary import Vocabulary, vocabulary
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import save_template
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.tiny import build_tiny

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")


def _numbers() -> st.SearchStrategy[float]:
    """Few different ones, so that they come twice, and any that float32 has."""
    few = [0.0, -0.0, 1.0, -1.0, 0.5, -8.0, 127.0, 63.5, 1e-40, -1e-38, 1e-45, 6e-5, 6e4, -3e38]
    return st.one_of(
        st.sampled_from(few),
        st.integers(-254, 254).map(lambda number: number / 2),
        st.floats(width=32, allow_nan=False, allow_infinity=False),
    )


ROWS = [
    Example.of("Name a colour.", "", "Blue.", Origin("seed")),
    Example.of("Add the numbers.", "2, 3", "5", Origin("seed")),
]


def saved(base: Path, folder: Path, template: str, ends: list[int] | None = None) -> Path:
    """A merged model whose choices are clear: the weights of a random one, three times as large."""
    import torch

    model = load_model(Checkpoint(str(base)), "float32")
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(5)
    if ends:
        model.generation_config.eos_token_id = ends
    model.save_pretrained(folder)
    save_template(folder, Encoder(load_tokenizer(Checkpoint(str(base))), TEMPLATES[template]))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def merged(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(base, tmp_path_factory.mktemp("merged"), "chat", ends=[2, 40])


def exported(
    merged: Path, folder: Path, template: str, *quantizations: str, most: int | None = None
) -> list[dict[str, Any]]:
    encoder = Encoder(load_tokenizer(Checkpoint(str(merged))), TEMPLATES[template])
    return ggufs(
        merged, folder / "gguf", folder, quantizations, encoder, ROWS, lambda sentence: None, most
    )


@pytest.mark.parametrize(
    "template",
    ["chat", *(pytest.param(name, marks=pytest.mark.slow) for name in ("alpaca", "vicuna"))],
)
def test_every_quantization_is_the_model(base: Path, tmp_path: Path, template: str) -> None:
    merged = saved(base, tmp_path / "merged", template)
    found = exported(merged, tmp_path, template, "f16", "q8_0", "q4_0")
    for one in found:
        assert one["prompts"] == 12 and one["answers"] == 10 and one["positions"] >= 10
        assert one["kl"] <= one["kl_limit"] and one["stops"] == [2]
    assert found[-1]["quantization"] == "f16" and found[-1]["differing"] == 0
    sizes = [(tmp_path / "gguf" / one["file"]).stat().st_size for one in found]
    assert sizes[1] < sizes[0] < sizes[2]
    assert "FROM ./model-f16.gguf" in (tmp_path / "gguf" / "Modelfile").read_text()


def _other_template(said: write_gguf.Conversation) -> write_gguf.Conversation:
    return replace(said, jinja=said.jinja.replace("message", "message", 1) + "{{ '!' }}")


def _no_stop(said: write_gguf.Conversation) -> write_gguf.Conversation:
    return replace(said, ends=said.ends[:-1])


def _no_bos(said: write_gguf.Conversation) -> write_gguf.Conversation:
    return replace(said, begins=not said.begins, bos=7)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_other_template, "other ids of a prompt"),
        (_no_stop, "does not stop at 'F'"),
        (_no_bos, "other ids of a prompt"),
    ],
)
def test_a_file_that_converses_otherwise_is_refused(
    merged: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[write_gguf.Conversation], write_gguf.Conversation],
    says: str,
) -> None:
    whole = write_gguf.write_gguf
    monkeypatch.setattr(
        build, "write_gguf", lambda a, b, c, said, *more: whole(a, b, c, change(said), *more)
    )
    refused(merged, tmp_path, says)


def refused(merged: Path, tmp_path: Path, says: str) -> None:
    with pytest.raises(UserError, match="is not the model that was trained") as error:
        exported(merged, tmp_path, "chat", "f16")
    assert says in str(error.value)
    assert not list(tmp_path.rglob("*.gguf")), "nothing is left under its final name"


def test_queries_and_keys_in_the_other_order_are_refused(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "alpaca_pipe.export.gguf.architecture_keys._ARCHITECTURES", {"llama": ("llama", False)}
    )
    refused(merged, tmp_path, "says another token")


def test_one_changed_tensor_is_refused(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alpaca_pipe.export.gguf import tensors

    whole = tensors.stored

    def changed(weight: tensors.Weight) -> Any:
        if weight.name != "blk.1.ffn_down.weight":
            return whole(weight)
        return whole(weight._replace(pieces=lambda: (-piece for piece in weight.pieces())))

    monkeypatch.setattr(write_gguf, "stored", changed)
    refused(merged, tmp_path, "says another token")


def test_all_stop_tokens_stop(base: Path, tmp_path: Path) -> None:
    merged = saved(base, tmp_path / "merged", "chat", ends=[2, 17, 40])
    (found,) = exported(merged, tmp_path, "chat", "q8_0")
    assert found["stops"] == [2, 17, 40]
    assert (tmp_path / "gguf" / "Modelfile").read_text().count("PARAMETER stop") == 3


def test_the_same_bytes_again(merged: Path, tmp_path: Path) -> None:
    one, other = (exported(merged, tmp_path / name, "chat", "q4_0")[0] for name in "ab")
    assert one["sha256"] == other["sha256"] and one["kl"] == other["kl"]


def test_llamas_sentencepiece(data: Path, tmp_path: Path) -> None:
    if not (data / "llama_tokenizer").is_dir():
        pytest.skip(f"LLaMA's tokenizer is not here: {data / 'llama_tokenizer'}")
    build_tiny(tmp_path / "base", data / "llama_tokenizer")
    merged = saved(tmp_path / "base", tmp_path / "merged", "alpaca")
    (found,) = exported(merged, tmp_path, "alpaca", "f16")
    assert found["differing"] == 0 and found["prompts"] == 12


def test_the_embedded_models_words_are_those_of_its_own_file() -> None:
    """The oracle is the GGUF that the checkpoint was made from, written by llama.cpp's own converter."""
    from gguf import GGUFReader

    from alpaca_pipe.core.files import read_json
    from alpaca_pipe.weights.checkpoint import exported_path
    from alpaca_pipe.weights.gguf import cached_path
    from alpaca_pipe.weights.known import SMOLLM2

    file, folder = cached_path(SMOLLM2), exported_path(SMOLLM2.name)
    if not file.is_file() or not folder.is_dir():
        pytest.skip("the embedded model is not here: `alpaca-pipe setup local` fetches it")
    fields = {
        name: field.contents()
        for name, field in GGUFReader(file).fields.items()
        if name.startswith("tokenizer.ggml.")
    }
    found = vocabulary(read_json(folder / "tokenizer.json"), 49152)
    assert found == Vocabulary(
        model=fields["tokenizer.ggml.model"],
        pre=fields["tokenizer.ggml.pre"],
        tokens=fields["tokenizer.ggml.tokens"],
        kinds=fields["tokenizer.ggml.token_type"],
        merges=fields["tokenizer.ggml.merges"],
        scores=[],
        space_in_front=fields["tokenizer.ggml.add_space_prefix"],
    )


def test_llama_3_1s_rotation_is_that_of_transformers() -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = LlamaConfig(hidden_size=512, num_attention_heads=4, rope_parameters=rope)
    wanted, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    factors = GgufArchitecture.of(config.to_dict()).rope_factors()
    assert factors is not None
    plain = [500000.0 ** (-2 * pair / 128) for pair in range(64)]
    assert [one / by for one, by in zip(plain, factors, strict=True)] == pytest.approx(
        wanted.tolist(), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "mistral"])
def test_other_architectures(base: Path, tmp_path: Path, kind: str) -> None:
    """Qwen 2 with its biases, Qwen 3 with its norms of queries and keys, a head size that does not follow from the width."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    said: dict[str, Any] = {
        "vocab_size": 259,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    if kind != "qwen2":
        said["head_dim"] = 32
    torch.manual_seed(3)
    if kind == "mistral":
        said["sliding_window"] = None
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **said))
    for name, weight in model.named_parameters():
        if name.endswith("bias") or "q_norm" in name:
            torch.nn.init.normal_(weight)
    model.save_pretrained(tmp_path / "base")
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / "base" / file).write_bytes((base / file).read_bytes())
    merged = saved(tmp_path / "base", tmp_path / "merged", "chat")
    (found,) = exported(merged, tmp_path, "chat", "f16")
    assert found["differing"] == 0


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "gpt2"}, "of a gpt2 model yet"),
        ({"model_type": "mistral", "sliding_window": 4096}, "sliding window"),
        ({"model_type": "llama", "rope_scaling": {"rope_type": "yarn"}}, "scaled by 'yarn'"),
    ],
)
def test_what_is_not_written_is_refused(config: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        GgufArchitecture.of(config)


def test_an_unknown_cut_is_refused() -> None:
    with pytest.raises(UserError, match="not known to cut text"):
        vocabulary(
            {
                "model": {"type": "BPE", "vocab": {}, "merges": []},
                "pre_tokenizer": {"type": "Whitespace"},
            },
            0,
        )
    with pytest.raises(UserError, match="WordPiece tokenizer"):
        vocabulary({"model": {"type": "WordPiece"}}, 4)


def test_an_unknown_weight_is_refused(merged: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"model.layers.0.mystery.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    config = GgufArchitecture.of({"model_type": "llama", "num_hidden_layers": 1})
    with pytest.raises(UserError, match="no place for the weight model.layers.0.mystery.weight"):
        list(weights(tmp_path, config, "f16"))


def test_numbers_beyond_f16_are_refused(base: Path, tmp_path: Path) -> None:
    import torch

    model = load_model(Checkpoint(str(base)), "float32")
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = 1e6
    model.save_pretrained(tmp_path / "merged")
    save_template(
        tmp_path / "merged", Encoder(load_tokenizer(Checkpoint(str(base))), TEMPLATES["chat"])
    )
    with pytest.raises(UserError, match="beyond what F16 can hold"):
        exported(tmp_path / "merged", tmp_path, "chat", "f16")


def test_a_gguf_needs_the_merged_model() -> None:
    with pytest.raises(ValueError, match="written from the merged model"):
        ExportConfig(merge=False, gguf=("f16",))


def test_a_file_cut_short_is_one_sentence(merged: Path, tmp_path: Path) -> None:
    from alpaca_pipe.export.gguf.llama_cpp import llama_cpp

    exported(merged, tmp_path, "chat", "q8_0")
    whole = tmp_path / "gguf" / "model-q8_0.gguf"
    (tmp_path / "cut.gguf").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    async def open_it() -> None:
        async with llama_cpp(tmp_path / "cut.gguf", 64, tmp_path / "log"):
            pass

    with pytest.raises(UserError, match="cannot serve"):
        asyncio.run(open_it())


def test_parts_are_the_model_too(merged: Path, tmp_path: Path) -> None:
    """Of 100 kB each: llama.cpp, given the first, passes the same gate, and nothing is in them twice."""
    from gguf import GGUFReader

    (whole,) = exported(merged, tmp_path / "whole", "chat", "f16")
    (found,) = exported(merged, tmp_path / "parts", "chat", "f16", most=100_000)
    files = sorted((tmp_path / "parts" / "gguf").glob("*.gguf"))
    assert len(files) > 1 and [file.name for file in files] == list(found["parts"])
    assert found["file"] == f"model-f16-00001-of-{len(files):05d}.gguf"
    assert {name: found[name] for name in ("kl", "positions", "differing")} == {
        name: whole[name] for name in ("kl", "positions", "differing")
    }
    (one,) = (tmp_path / "whole" / "gguf").glob("*.gguf")
    names = [tensor.name for file in files for tensor in GGUFReader(file).tensors]
    assert names == [tensor.name for tensor in GGUFReader(one).tensors]
    assert f"FROM ./{files[0].name}" in (tmp_path / "parts" / "gguf" / "Modelfile").read_text()
    assert not list((tmp_path / "parts").glob("*.gguf")), "no draft is left"


@pytest.mark.parametrize("size", ["2", "2 TB", "-1GB", "0MB", "1.5GB"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match="is not a size of a file"):
        ExportConfig(gguf=("f16",), gguf_max_shard_size=size)


def test_sizes_are_those_of_save_pretrained() -> None:
    from alpaca_pipe.export.config import bytes_of

    assert (bytes_of("2GB"), bytes_of("512MiB"), bytes_of("7 KB")) == (2 * 10**9, 2**29, 7000)
    assert "gguf_max_shard_size" not in ExportConfig(gguf=("f16",)).identity()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full in the middle of the file: the real writer has written its head by then."""
    import errno

    from alpaca_pipe.export.gguf import write_gguf as writing

    def full(weight: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "stored", full)
    with pytest.raises(UserError, match=r"cannot be written: No space left.*MB free"):
        exported(merged, tmp_path, "chat", "f16")
    assert not list(tmp_path.rglob("*.gguf"))


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
def test_numbers_are_stored_as_the_package_gguf_stores_them(kind: str) -> None:
    """Its own, slower way is the oracle: the same bytes, of rows that are no multiple of what we hand over at once."""
    import numpy
    import torch
    from gguf import GGMLQuantizationType, quants

    from alpaca_pipe.export.gguf.quantized import KINDS

    chance = numpy.random.default_rng(3)
    numbers = (
        chance.standard_normal((4099, 96)) * 10.0 ** chance.integers(-6, 4, (4099, 1))
    ).astype(numpy.float32)
    numbers[7] = 0
    halves = chance.integers(-254, 255, (64, 96)).astype(numpy.float32) / 2  # of Q8_0: a scale of 1
    halves[:, ::32] = 127
    level = numpy.tile(numpy.float32([3, -3, 1.5, 0.25]), (40, 24))  # of Q4_0: which came first?
    near = numpy.full((1, 96), numpy.nextafter(numpy.float32(0.5), numpy.float32(0)))
    near[0, ::32] = 127
    numbers = numpy.concatenate([numbers, halves, level, -level, near])
    which = GGMLQuantizationType[kind]
    found = KINDS[kind](torch.from_numpy(numbers.copy()).view(-1)).numpy()
    assert found.tobytes() == quants.quantize(numbers, which).tobytes()


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
@given(
    numbers=st.lists(_numbers(), min_size=32, max_size=32),
    form=st.sampled_from(["float32", "bfloat16", "float16"]),
)
def test_any_block_is_stored_as_the_package_gguf_stores_it(
    kind: str, numbers: list[float], form: str
) -> None:
    """Zeros of both signs, ties, equal extremes, subnormals, the largest numbers of each form: the same bytes, NaN and infinity where
    a scale's reciprocal, or a scale in F16, is beyond what it can hold."""
    import numpy
    import torch
    from gguf import GGMLQuantizationType, quants

    from alpaca_pipe.export.gguf.quantized import KINDS

    block = torch.tensor(numbers, dtype=torch.float32).to(getattr(torch, form)).float()
    block = block.clamp(-LARGEST_F16, LARGEST_F16) if kind == "F16" else block.nan_to_num()
    with numpy.errstate(all="ignore"):
        wanted = quants.quantize(block.numpy(), GGMLQuantizationType[kind])
    assert KINDS[kind](block.clone()).numpy().tobytes() == wanted.tobytes()


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("quantization", ["f16", "q8_0", "q4_0"])
def test_a_file_is_the_one_that_whole_tensors_and_the_package_make(
    merged: Path, tmp_path: Path, quantization: str, kind: str
) -> None:
    """Written apart from ours: every tensor whole, in transformers' order turned by hand, rounded by the package gguf and written by
    its own writer. The same bytes, the vocabulary among them."""
    import numpy
    import torch
    from gguf import GGUFReader, GGUFWriter, quants
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(merged, folder)
    stored = load_file(folder / "model.safetensors")
    cast = {name: one.to(getattr(torch, kind)) for name, one in stored.items()}
    save_file(cast, folder / "model.safetensors", {"format": "pt"})
    how = write_gguf.Conversation("{{ messages }}", [2, 3], 1, 0, True)
    plain, ours = tmp_path / "plain.gguf", tmp_path / "ours.gguf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alpaca_pipe.export.gguf.write_gguf.packing_writer", lambda: GGUFWriter)
        write_gguf.write_gguf(folder, plain, quantization, how, "x")
    write_gguf.write_gguf(folder, ours, quantization, how, "x")
    assert ours.read_bytes() == plain.read_bytes()
    found = {one.name: one for one in GGUFReader(ours).tensors}
    config = json.loads((folder / "config.json").read_text())
    heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"]}
    for name, numbers in cast.items():
        part = name.split(".")
        if "self_attn" not in part or part[-2][0] not in heads:
            continue
        mine = found[f"blk.{part[2]}.attn_{part[-2][0]}.weight"]
        whole = numbers.float().numpy()
        size = whole.shape[0] // heads[part[-2][0]]
        order = [
            head * size + half * size // 2 + at
            for head in range(heads[part[-2][0]])
            for at in range(size // 2)
            for half in (0, 1)
        ]
        wanted = quants.quantize(numpy.ascontiguousarray(whole[order]), mine.tensor_type)
        assert mine.data.tobytes() == wanted.tobytes()
