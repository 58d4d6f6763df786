"""The weights of a checkpoint as a GGUF stores them, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.export.gguf.architecture_keys import GgufArchitecture

if TYPE_CHECKING:
    import numpy
    from gguf import GGMLQuantizationType

_BLOCK = 32  # numbers that share a scale in Q8_0 and Q4_0
_PIECE = 4096  # blocks, 512 kB in float32
_LARGEST_F16 = 65504.0


class Weight(NamedTuple):
    """One tensor to be written. shape: as in the checkpoint.  load: reads it, in float32 and in GGUF's order."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    load: Callable[[], numpy.ndarray[Any, Any]]


def weights(folder: Path, architecture: GgufArchitecture, quantization: str) -> Iterator[Weight]:
    """The weights of a checkpoint's safetensors, none of them loaded yet. quantization: f16, q8_0 or q4_0.

    Raises UserError for a weight that the architecture has no place for.
    """
    import gguf

    arch = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}[architecture.name]
    names = gguf.get_tensor_name_map(arch, architecture.layers)
    if factors := architecture.rope_factors():
        yield Weight("rope_freqs.weight", (len(factors),), _kinds()["f32"], lambda: _array(factors))
    tied = architecture.config.get("tie_word_embeddings", False)
    for key, file in sorted(_files(folder).items()):
        if key.endswith("rotary_emb.inv_freq") or (tied and key == "lm_head.weight"):
            continue
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise UserError(
                f"no GGUF can be written: llama.cpp's {architecture.name} has no place for the weight {key}",
                "leave export.gguf out and use merged/",
            )
        shape = _shape(folder / file, key)
        yield Weight(
            name,
            shape,
            _kind(name, shape, quantization),
            _loader(folder / file, key, _heads(architecture, name)),
        )


def stored(weight: Weight) -> numpy.ndarray[Any, Any]:
    """The bytes to be written. A weight that is too large for F16 is an error: it would become infinite."""
    import numpy
    from gguf import GGMLQuantizationType, quants

    numbers = weight.load()
    if weight.kind == GGMLQuantizationType.F32:
        return numbers
    if weight.kind == GGMLQuantizationType.F16:
        with numpy.errstate(over="ignore"):  # told below
            found: numpy.ndarray[Any, Any] = numbers.astype(numpy.float16)
        if numpy.isinf(found).any():
            raise UserError(
                f"{weight.name} holds numbers beyond what F16 can hold ({_LARGEST_F16:.0f})",
                "take f16 out of export.gguf",
            )
        return found
    return _in_blocks(numbers, {"Q8_0": quants.Q8_0, "Q4_0": quants.Q4_0}[weight.kind.name])


def _in_blocks(numbers: numpy.ndarray[Any, Any], kind: Any) -> numpy.ndarray[Any, Any]:
    """Quantized by the package gguf, in pieces that fit the processor's cache; its own way hands over 16 rows at a time."""
    import numpy

    blocks = numbers.reshape(-1, _BLOCK)
    pieces = [
        kind.quantize_blocks(blocks[at : at + _PIECE]) for at in range(0, len(blocks), _PIECE)
    ]
    return numpy.concatenate(pieces).reshape(*numbers.shape[:-1], -1)


def _kind(name: str, shape: tuple[int, ...], quantization: str) -> GGMLQuantizationType:
    """Norms and biases stay in F32, and with Q4_0 the embedding and the head in Q8_0: they suffer most from 4 bits."""
    kinds = _kinds()
    if len(shape) == 1:
        return kinds["f32"]
    if quantization != "f16" and shape[-1] % _BLOCK:
        return kinds["f16"]
    if quantization == "q4_0" and name in ("token_embd.weight", "output.weight"):
        return kinds["q8_0"]
    return kinds[quantization]


def _kinds() -> Mapping[str, GGMLQuantizationType]:
    from gguf import GGMLQuantizationType

    return {name: GGMLQuantizationType[name.upper()] for name in ("f32", "f16", "q8_0", "q4_0")}


def _files(folder: Path) -> dict[str, str]:
    """Key of each weight -> the file that holds it."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        found: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return found
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        return dict.fromkeys(file.keys(), "model.safetensors")


def _shape(file: Path, key: str) -> tuple[int, ...]:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return tuple(opened.get_slice(key).get_shape())


def _heads(architecture: GgufArchitecture, name: str) -> int | None:
    """Of how many heads the rows are to be put in another order, if they are."""
    if not architecture.interleaved:
        return None
    if ".attn_q." in name:
        return architecture.heads
    return architecture.key_value_heads if ".attn_k." in name else None


def _loader(file: Path, key: str, heads: int | None) -> Callable[[], numpy.ndarray[Any, Any]]:
    def load() -> numpy.ndarray[Any, Any]:
        from safetensors import safe_open

        with safe_open(file, "pt") as opened:
            numbers: numpy.ndarray[Any, Any] = opened.get_tensor(key).float().numpy()
        return numbers if heads is None else _interleaved(numbers, heads)

    return load


def _interleaved(numbers: numpy.ndarray[Any, Any], heads: int) -> numpy.ndarray[Any, Any]:
    """transformers rotates the two halves of a head against each other, llama.cpp's llama each pair of neighbours."""
    import numpy

    halves = numbers.reshape(heads, 2, -1, *numbers.shape[1:])
    return numpy.ascontiguousarray(halves.swapaxes(1, 2).reshape(numbers.shape))


def _array(values: list[float]) -> numpy.ndarray[Any, Any]:
    import numpy

    return numpy.array(values, dtype=numpy.float32)
