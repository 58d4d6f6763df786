"""The weights of a checkpoint as a GGUF stores them: read, brought into GGUF's order, rounded and handed on in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.export.gguf.architecture_keys import GgufArchitecture
from alpaca_pipe.export.gguf.quantized import BLOCK, KINDS, LARGEST_F16
from alpaca_pipe.weights.checkpoint_files import CheckpointFiles, StoredWeight

if TYPE_CHECKING:
    import torch
    from gguf import GGMLQuantizationType

_PIECE = 1 << 18  # numbers, 1 MB in float32


class Weight(NamedTuple):
    """One tensor to be written. shape: as in the checkpoint. pieces: its numbers in GGUF's order, flat and in float32; each holds
    until the next is asked for."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    pieces: Callable[[], Iterator[torch.Tensor]]


def weights(folder: Path, architecture: GgufArchitecture, quantization: str) -> Iterator[Weight]:
    """The weights of a checkpoint's safetensors, none of them read yet. quantization: f16, q8_0 or q4_0.

    Raises UserError for a weight that the architecture has no place for.
    """
    import gguf

    arch = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}[architecture.name]
    names = gguf.get_tensor_name_map(arch, architecture.layers)
    if factors := architecture.rope_factors():
        kind = gguf.GGMLQuantizationType.F32
        yield Weight("rope_freqs.weight", (len(factors),), kind, lambda: _of_list(factors))
    tied = architecture.config.get("tie_word_embeddings", False)
    for key, stored_weight in sorted(CheckpointFiles(folder).weights.items()):
        if key.endswith("rotary_emb.inv_freq") or (tied and key == "lm_head.weight"):
            continue
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise UserError(
                f"no GGUF can be written: llama.cpp's {architecture.name} has no place for the weight {key}",
                "leave export.gguf out and use merged/",
            )
        yield Weight(
            name,
            stored_weight.shape,
            gguf.GGMLQuantizationType[_kind(name, stored_weight.shape, quantization)],
            _reader(stored_weight, _heads(architecture, name)),
        )


def stored(weight: Weight) -> Iterator[memoryview]:
    """The bytes to be written. A number that is too large for F16 is an error: it would become infinite."""
    quantized = KINDS[weight.kind.name]
    for numbers in weight.pieces():
        try:
            found = quantized(numbers)
        except OverflowError:
            raise UserError(
                f"{weight.name} holds numbers beyond what F16 can hold ({LARGEST_F16:.0f})",
                "take f16 out of export.gguf",
            ) from None
        yield found.numpy().data.cast("B")


def _kind(name: str, shape: tuple[int, ...], quantization: str) -> str:
    """Norms and biases stay in F32, and with Q4_0 the embedding and the head in Q8_0: they suffer most from 4 bits."""
    if len(shape) == 1:
        return "F32"
    if quantization != "f16" and shape[-1] % BLOCK:
        return "F16"
    if quantization == "q4_0" and name in ("token_embd.weight", "output.weight"):
        return "Q8_0"
    return quantization.upper()


def _heads(architecture: GgufArchitecture, name: str) -> int | None:
    """Of how many heads the rows are to be put in another order, if they are."""
    if not architecture.interleaved:
        return None
    if ".attn_q." in name:
        return architecture.heads
    return architecture.key_value_heads if ".attn_k." in name else None


def _reader(weight: StoredWeight, heads: int | None) -> Callable[[], Iterator[torch.Tensor]]:
    """Plain reads into one piece of memory: a mapped file would be counted as ours, all of it."""

    def pieces() -> Iterator[torch.Tensor]:
        kind, whole = _dtype(weight), prod(weight.shape)
        most = whole // heads if heads else min(_PIECE, whole)
        buffer = bytearray(most * kind.itemsize)
        with weight.file.open("rb", buffering=0) as file:
            file.seek(weight.begins)
            for at in range(0, whole, most):
                count = min(most, whole - at)
                _fill(file, memoryview(buffer)[: count * kind.itemsize], weight.file)
                yield _piece(buffer, kind, count, weight.shape, heads)

    return pieces


def _fill(file: Any, wanted: memoryview, path: Path) -> None:
    while wanted:
        count = file.readinto(wanted)
        if not count:
            raise UserError(f"{path.name} ended while it was read", "export again")
        wanted = wanted[count:]


def _piece(
    buffer: bytearray, kind: torch.dtype, count: int, shape: tuple[int, ...], heads: int | None
) -> torch.Tensor:
    """transformers rotates the two halves of a head against each other, llama.cpp's llama each pair of neighbours."""
    import torch

    numbers = torch.frombuffer(buffer, dtype=kind, count=count).float()
    if heads is None:
        return numbers
    halves = numbers.view(2, shape[0] // heads // 2, -1)
    return halves.swapaxes(0, 1).contiguous().view(-1)


def _dtype(weight: StoredWeight) -> torch.dtype:
    import torch

    known = {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
    }
    if weight.dtype not in known:
        raise UserError(
            f"no GGUF can be written: {weight.file.name} holds weights of the kind {weight.dtype}",
            "export a model whose weights are plain numbers",
        )
    return known[weight.dtype]


def _of_list(values: list[float]) -> Iterator[torch.Tensor]:
    import torch

    yield torch.tensor(values, dtype=torch.float32)
