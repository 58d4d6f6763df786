"""The checkpoint as one ONNX graph with a cache, by transformers' own exporter, with the names that Transformers.js asks for.

One graph does both parts of answering: the prompt with an empty cache, then each token with what came before.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NEEDS = ("onnx", "onnxscript", "onnxruntime")
# Architectures that both take: each is exported and answered with in a test.
TAKEN = ("llama", "mistral", "qwen2", "qwen3")
_LARGEST = 2_000_000_000  # bytes: of one piece in a browser, whose WebAssembly holds 4 GB in all
DATA = "_data"  # the weights lie beside the graph in FILE + DATA, as Transformers.js looks for them


def missing_packages() -> list[str]:
    return [name for name in NEEDS if find_spec(name) is None]


def check_taken(config: Any) -> None:
    """Raises UserError for a model that the graph or the browser would not take."""
    kind = str(getattr(config, "model_type", ""))
    if kind not in TAKEN:
        raise UserError(
            f"export.onnx takes {', '.join(TAKEN)}, and this base is of type '{kind}'",
            "remove export.onnx, and use merged/",
        )
    if sliding(config):
        raise UserError(
            "export.onnx takes attention over the whole text, and this base slides a window over it",
            "remove export.onnx, and use merged/",
        )


def sliding(config: Any) -> bool:
    """Whether a layer sees only a window of the text."""
    layers = getattr(config, "layer_types", None)
    if layers:
        return any(kind != "full_attention" for kind in layers)
    return bool(getattr(config, "sliding_window", None))


def write_onnx(model: PreTrainedModel, file: Path) -> None:
    """Writes `file` and, beside it, its weights in fp32. model: in fp32.

    Inputs: input_ids and position_ids (1 x tokens), past_key_values.N.key and .value (1 x heads x past x width); outputs:
    logits (1 x tokens x vocabulary), present.N.key and .value.  Raises UserError for what cannot be exported or written.
    """
    check_taken(model.config)
    size = sum(weight.numel() * 4 for weight in model.parameters())
    if size > _LARGEST:
        raise UserError(
            f"the ONNX file would have {size / 1e9:.1f} GB, and a browser loads 2 GB at most",
            "remove export.onnx; export.browser with gguf: [q4_0] is an eighth of it",
        )
    try:
        with _quiet():
            program = _exported(model)
    except (RuntimeError, ValueError, NotImplementedError, ImportError) as error:
        if "memory" in str(error).lower():
            raise
        raise UserError(
            f"transformers' exporter does not take this {type(model).__name__}: {first_line(error)}",
            "remove export.onnx, and use merged/",
        ) from None
    _rename(program)
    try:
        import onnx_ir
        from onnx_ir.passes.common import ClearMetadataAndDocStringPass

        # the exporter notes of each node the lines of Python that made it, by their paths on this machine
        ClearMetadataAndDocStringPass()(program.model if hasattr(program, "model") else program)
        file.parent.mkdir(parents=True, exist_ok=True)
        onnx_ir.save(program, str(file), external_data=file.name + DATA)
    except OSError as error:
        raise UserError(
            f"{file.name} cannot be written: {error.strerror or error}",
            f"make {size / 1e6:.0f} MB free, and run the same command again",
        ) from None


def _exported(model: PreTrainedModel) -> Any:
    import torch
    from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter

    ids = torch.arange(5)[None] % model.config.vocab_size
    with torch.inference_mode(False), torch.no_grad():
        cache = model(input_ids=ids[:, :3], use_cache=True).past_key_values
    length = torch.export.Dim.DYNAMIC
    inputs = {
        "input_ids": ids[:, 3:],
        "position_ids": torch.tensor([[3, 4]]),
        "past_key_values": cache,
        "use_cache": True,
    }
    layers = model.config.num_hidden_layers
    shapes = {
        "input_ids": {1: length},
        "position_ids": {1: length},
        "past_key_values": [{2: length}] * (2 * layers),
    }
    how = OnnxConfig(dynamic=True, dynamic_shapes=shapes)
    return OnnxExporter().export_program(model, inputs, how)[0]


def _rename(program: Any) -> None:
    """`...past_key_values.layers.3.keys`, as the exporter calls it, becomes `past_key_values.3.key` or `present.3.key`."""
    for values, name in (
        (program.graph.inputs, "past_key_values"),
        (program.graph.outputs, "present"),
    ):
        for value in values:
            words = value.name.split(".")
            if "layers" in words:
                value.name = (
                    f"{name}.{words[words.index('layers') + 1]}.{words[-1].removesuffix('s')}"
                )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What exporters say about themselves is nothing to whoever runs a recipe."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
