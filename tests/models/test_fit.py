"""The arithmetic of `plan` against figures that were measured or published."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_json
from alpaca_pipe.ledger.pricing.gpu_rates import gpus
from alpaca_pipe.models.architecture import (
    LLAMA_7B,
    Architecture,
    has_weights,
    of_size,
    shape_named,
    shape_of,
)
from alpaca_pipe.models.fit import (
    GB,
    activation_bytes,
    file_bytes,
    fit,
    flop_a_token,
    gpu_hours,
    memory,
    memory_on_cpu,
    tokens_for_gradients,
    training_flops,
)
from alpaca_pipe.models.speed import SHARE, loading, reached
from alpaca_pipe.weights.base import BaseTable

TOKENS = 3 * 6_611_565  # the released 52K, three epochs
H200 = gpus()["H200"]

# Parameters as published: LLaMA, arXiv:2302.13971, table 2; the others as the hub counts them in safetensors.
SIZES = {
    "huggyllama/llama-7b": 6.738e9,
    "huggyllama/llama-13b": 13.016e9,
    "huggyllama/llama-30b": 32.529e9,
    "huggyllama/llama-65b": 65.286e9,
    "meta-llama/Llama-2-70b-hf": 68.977e9,
    "meta-llama/Meta-Llama-3-8B": 8.030e9,
    "meta-llama/Llama-3.1-70B-Instruct": 70.554e9,
    "meta-llama/Llama-3.2-1B": 1.236e9,
    "meta-llama/Llama-3.2-3B": 3.213e9,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 0.1345e9,
    "HuggingFaceTB/SmolLM2-360M": 0.3618e9,
    "HuggingFaceTB/SmolLM2-1.7B": 1.711e9,
    "mistralai/Mistral-7B-v0.1": 7.242e9,
    "Qwen/Qwen2.5-0.5B": 0.494e9,
    "Qwen/Qwen2.5-7B-Instruct": 7.616e9,
    "Qwen/Qwen2.5-72B": 72.706e9,
    "Qwen/Qwen3-8B": 8.191e9,
}


@pytest.mark.parametrize(("model", "parameters"), SIZES.items())
def test_the_table_of_shapes_counts_what_was_published(model: str, parameters: float) -> None:
    shape = shape_of(BaseTable(model=model))
    assert shape and not shape.guessed
    assert shape.parameters == pytest.approx(parameters, rel=1e-3)


def test_llama_7b_is_multiplied_with_so_many_parameters() -> None:
    assert LLAMA_7B.multiplied == pytest.approx(6.607e9, rel=1e-4)
    assert flop_a_token(LLAMA_7B.multiplied) == pytest.approx(39.64e9, rel=1e-4)
    assert LLAMA_7B.adapter(16) == 39_976_960  # as peft prints it for r=16 on all linear layers
    assert LLAMA_7B.adapter(8, ("q_proj", "v_proj")) == 4_194_304  # as alpaca-lora printed it


@pytest.mark.parametrize(
    ("method", "recompute", "minutes"),
    [("full", False, 16.6), ("full", True, 22.1), ("lora", False, 11.1)],
)
def test_the_52k_on_an_h200_at_its_measured_peak(
    method: str, recompute: bool, minutes: float
) -> None:
    flops = training_flops(LLAMA_7B.multiplied, TOKENS, method, recompute)  # type: ignore[arg-type]
    assert flops / 790e12 / 60 == pytest.approx(minutes, abs=0.05)


def test_the_52k_takes_so_many_operations() -> None:
    assert pytest.approx(19.83e6, rel=1e-3) == TOKENS
    assert training_flops(LLAMA_7B.multiplied, TOKENS) == pytest.approx(7.86e17, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "gigabytes"),
    [({}, 108), ({"adam": "8-bit"}, 67), ({"adam": "8-bit", "dtype": "bfloat16"}, 40)],
)
def test_full_tuning_of_7b_before_activations(options: dict[str, str], gigabytes: float) -> None:
    needed = memory(LLAMA_7B, "full", 1, **options)  # type: ignore[arg-type]
    without = needed.weights + needed.gradients + needed.optimizer
    assert without / GB == pytest.approx(gigabytes, abs=0.5)


def test_the_copies_that_autocast_makes() -> None:
    assert memory(LLAMA_7B, "full", 1).copies / GB == pytest.approx(13.5, abs=0.05)
    assert memory(LLAMA_7B, "lora", 1, dtype="bfloat16").copies == 0


def test_activations_of_7b() -> None:
    """As counted from the tensors that autograd saves in one of its layers, under autocast."""
    assert activation_bytes(LLAMA_7B) / 1e6 == pytest.approx(7.54, rel=0.02)
    assert activation_bytes(LLAMA_7B, method="lora") / 1e6 == pytest.approx(6.50, rel=0.02)
    assert activation_bytes(LLAMA_7B, recompute=True) < activation_bytes(LLAMA_7B) / 10


CPU_SHAPES = {
    "30 layers of 576, tied": Architecture(576, 1536, 30, 9, 3, 49152, tied=True),
    "8 layers of 512": Architecture(512, 1408, 8, 8, 8, 32000),
    "12 layers of 1024": Architecture(1024, 2816, 12, 16, 4, 32000),
}


# GB at the height of a process that tunes, eight rows of 128 tokens in a step: `python -m tests.bench.peak`, 2026-11-30, two cores
# of x86-64, torch 2.13, transformers 5.23, peft 0.21.2, bitsandbytes 0.50.2.
@pytest.mark.parametrize(
    ("shape", "method", "measured"),
    [
        ("30 layers of 576, tied", "lora", 2.09),
        ("30 layers of 576, tied", "full", 3.51),
        ("30 layers of 576, tied", "qlora", 3.33),
        ("8 layers of 512", "lora", 1.09),
        ("8 layers of 512", "full", 1.88),
        ("8 layers of 512", "qlora", 1.44),
        ("12 layers of 1024", "lora", 2.02),
        ("12 layers of 1024", "full", 4.51),
        ("12 layers of 1024", "qlora", 3.01),
    ],
)
def test_memory_on_a_cpu_is_what_was_measured(shape: str, method: str, measured: float) -> None:
    planned = memory_on_cpu(CPU_SHAPES[shape], method, 512, step=1024).total / GB  # type: ignore[arg-type]
    assert planned == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize("shape", CPU_SHAPES.values(), ids=CPU_SHAPES)
def test_a_first_micro_batch_takes_no_more_than_the_ones_after_it(shape: Architecture) -> None:
    """Its gradients are not there yet, so it may have as many tokens more as they will take."""
    most = 512 + tokens_for_gradients(shape)
    later = memory_on_cpu(shape, "full", 512).total
    assert memory_on_cpu(shape, "full", 512, step=most).total == pytest.approx(later, rel=1e-6)
    assert memory_on_cpu(shape, "full", 512, step=most - 100).total < later
    assert memory_on_cpu(shape, "full", 512, step=most + 1).total == later
    assert 300 < tokens_for_gradients(shape) < 2000


def test_qlora_of_a_65b_fits_where_its_paper_fitted_it() -> None:
    """Guanaco 65B on one GPU of 48 GB (arXiv:2305.14314): with recompute and short micro-batches."""
    shape = shape_named("huggyllama/llama-65b")
    assert shape
    assert fit("A6000", 48, memory(shape, "qlora", 512, rank=64, recompute=True)).fits
    assert not fit("A6000", 48, memory(shape, "lora", 512, dtype="bfloat16")).fits


def test_files_and_hours() -> None:
    assert file_bytes(6.738e9, 4.5) / GB == pytest.approx(3.79, abs=0.005)
    assert file_bytes(6.738e9, 5.0) / GB == pytest.approx(4.21, abs=0.005)
    assert file_bytes(6.738e9, 5.0) / 2**30 == pytest.approx(3.92, abs=0.005)
    assert gpu_hours(1.4e12, 380) == pytest.approx(1_023_392, abs=1)


SHAPES = st.sampled_from(
    [
        LLAMA_7B,
        Architecture(576, 1536, 30, 9, 3, 49152, tied=True),
        Architecture(4096, 14336, 32, 32, 8, 128256),
    ]
)
METHODS = st.sampled_from(["full", "lora", "qlora"])
DTYPES = st.sampled_from(["float32", "bfloat16"])


@given(SHAPES, METHODS, DTYPES, st.integers(1, 64), st.integers(8, 4096), st.booleans())
def test_more_at_once_never_needs_less(
    shape: Architecture, method: str, dtype: str, rows: int, length: int, recompute: bool
) -> None:
    def total(rows: int, length: int) -> float:
        return memory(shape, method, rows * length, dtype=dtype, recompute=recompute).total  # type: ignore[arg-type]

    assert total(rows, length) < total(rows + 1, length)
    assert total(rows, length) < total(rows, length + 1)


@given(SHAPES, DTYPES, st.integers(1, 32768))
def test_methods_are_ordered(shape: Architecture, dtype: str, tokens: int) -> None:
    full, lora = (memory(shape, method, tokens, dtype=dtype).total for method in ("full", "lora"))  # type: ignore[arg-type]
    assert memory(shape, "qlora", tokens).total < lora < full


@given(st.floats(1e8, 1e11))
def test_a_guessed_shape_has_about_the_size_that_was_named(size: float) -> None:
    assert of_size(size).parameters == pytest.approx(size, rel=0.02)


def test_a_checkpoint_on_this_machine_says_its_shape(tmp_path: Path) -> None:
    write_json(
        tmp_path / "config.json",
        {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 300,
        },
    )
    base = BaseTable.model_validate({"model": str(tmp_path)})
    assert shape_of(base) == Architecture(64, 128, 2, 4, 2, 300) and has_weights(base)


def test_a_model_of_the_hubs_cache_says_its_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / "models--some--llama-7b"
    write_json(
        kept / "snapshots" / ("a" * 40) / "config.json",
        {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 300,
        },
    )
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("a" * 40)
    base = BaseTable(model="some/llama-7b")
    assert shape_of(base) == Architecture(64, 128, 2, 4, 4, 300)
    assert not has_weights(base)
    (kept / "snapshots" / ("a" * 40) / "model.safetensors").touch()
    assert has_weights(base)


def test_an_unknown_name_is_guessed_or_not_known() -> None:
    guessed = shape_of(BaseTable(model="somebody/their-model-3b"))
    assert guessed and guessed.guessed
    assert shape_of(BaseTable(model="somebody/theirs")) is None
    assert shape_of(BaseTable(model="tiny")) is None


def test_speed_lies_around_what_was_published() -> None:
    """10,471 tokens/s full on one H200 (8B) and 12,473 LoRA on one H100 lie between badly and well, or just above."""
    shape = shape_named("meta-llama/Meta-Llama-3-8B")
    assert shape
    for method, tokens_a_second, gpu in (("full", 10_471, H200), ("lora", 12_473, gpus()["H100"])):
        share = flop_a_token(shape.multiplied, method) * tokens_a_second / (gpu.bf16_tflops * 1e12)  # type: ignore[arg-type]
        assert SHARE[0] < share < SHARE[2]


@given(st.floats(1e12, 1e20), st.floats(0, 1e6))
def test_ranges_are_in_order(flops: float, layers: float) -> None:
    found = reached(H200, flops, layers) + loading(7e9, 2, fetched=False, saved=1e9)
    assert 0 < found.p10 <= found.p50 <= found.p90


def test_few_tokens_are_bound_by_launches_not_by_operations() -> None:
    assert reached(H200, 1e6, 1000).p50 == pytest.approx(1.2)


def test_a_tokenizer_whose_vocabulary_cannot_be_read_makes_no_smaller_model(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{}")
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    base = BaseTable.model_validate({"model": "new", "shape": shape, "tokenizer": str(tmp_path)})
    with pytest.raises(UserError, match="its vocabulary cannot be read"):
        shape_of(base)
