"""One GGUF file from a checkpoint's folder, a tensor at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.core.collector import collected_seldom
from alpaca_pipe.core.files import read_json
from alpaca_pipe.export.gguf.architecture_keys import GgufArchitecture
from alpaca_pipe.export.gguf.packing_writer import StoredInPieces, packing_writer
from alpaca_pipe.export.gguf.tensors import Weight, stored, weights
from alpaca_pipe.export.gguf.vocabulary import Vocabulary, vocabulary

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter

FILE_TYPES = {"f16": 1, "q4_0": 2, "q8_0": 7}  # llama.cpp's numbers (LlamaFileType)


@dataclass(frozen=True)
class Conversation:
    """How the model was trained to converse. ends: ids, the one that it learned first.

    begins: whether its prompts begin with BOS. llama.cpp puts it there itself.
    """

    jinja: str
    ends: Sequence[int]
    bos: int | None
    pad: int | None
    begins: bool


class WrittenGguf(NamedTuple):
    """files: one, or the parts of one in their order; llama.cpp is given the first and finds the others beside it."""

    vocabulary: Vocabulary
    files: list[Path]


def write_gguf(
    folder: Path,
    file: Path,
    quantization: str,
    conversation: Conversation,
    name: str,
    most: int | None = None,
) -> WrittenGguf:
    """`folder` holds config.json, tokenizer.json and safetensors. A piece of one tensor is in memory at a time. most: bytes of a part's
    tensors; where they are more, the file becomes parts called as llama.cpp calls them, `NAME-00001-of-00003.gguf`.

    Raises UserError for a model or a tokenizer that cannot be written so that llama.cpp reads it alike.
    """
    config = read_json(folder / "config.json")
    architecture = GgufArchitecture.of(config)
    writer = packing_writer()(file, architecture.name, split_max_size=most or 0)
    try:
        with collected_seldom(), _one_thread():
            words = vocabulary(read_json(folder / "tokenizer.json"), int(config["vocab_size"]))
            writer.add_type("model")
            writer.add_name(name)
            writer.add_file_type(FILE_TYPES[quantization])
            writer.add_quantization_version(2)
            architecture.write(writer)
            _write_words(writer, words, conversation)
            _write_weights(writer, list(weights(folder, architecture, quantization)))
        return WrittenGguf(words, writer.format_shard_names(file))
    finally:
        writer.close()


@contextmanager
def _one_thread() -> Iterator[None]:
    """A step on a piece is too short for several: beside other work they waited for each other twenty times as long as they worked."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _write_weights(writer: GGUFWriter, found: Sequence[Weight]) -> None:
    for weight in found:
        _announce(writer, weight.name, weight.shape, weight.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for weight in found:
        writer.write_tensor_data(StoredInPieces(_bytes(weight.shape, weight.kind), stored(weight)))


def _announce(
    writer: GGUFWriter, name: str, shape: Sequence[int], kind: GGMLQuantizationType
) -> None:
    """The tensor's entry in the head of the file; its bytes follow later."""
    import numpy

    size = _bytes(shape, kind)
    writer.add_tensor_info(name, shape, numpy.dtype(numpy.float32), size, raw_dtype=kind)


def _bytes(shape: Sequence[int], kind: GGMLQuantizationType) -> int:
    from math import prod

    from gguf.quants import quant_shape_to_byte_shape

    return prod(quant_shape_to_byte_shape(shape, kind))


def _write_words(writer: GGUFWriter, words: Vocabulary, conversation: Conversation) -> None:
    writer.add_tokenizer_model(words.model)
    writer.add_tokenizer_pre(words.pre)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.kinds)
    if words.merges:
        writer.add_token_merges(words.merges)
    if words.scores:
        writer.add_token_scores(words.scores)
    writer.add_add_space_prefix(words.space_in_front)
    writer.add_add_bos_token(conversation.begins)
    writer.add_add_eos_token(False)
    if conversation.bos is not None:
        writer.add_bos_token_id(conversation.bos)
    if conversation.pad is not None:
        writer.add_pad_token_id(conversation.pad)
    end, *others = conversation.ends
    writer.add_eos_token_id(end)
    for other, add in zip(others, (writer.add_eot_token_id, writer.add_eom_token_id), strict=False):
        add(other)
    writer.add_chat_template(conversation.jinja)
