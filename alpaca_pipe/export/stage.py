"""[export] the tuned model as one checkpoint with its card, and the dataset in forms that others read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.export.config import (
    ALIGNED,
    HELD_OUT,
    ROWS,
    TRAIN,
    TRAINED,
    VERDICT,
    ExportConfig,
)
from alpaca_pipe.ledger.machine.planned_machine import machine_of
from alpaca_pipe.models.architecture import parameters_in
from alpaca_pipe.models.speed import loading
from alpaca_pipe.recipe.stage import (
    Estimate,
    EstimateInputs,
    Outcome,
    Stage,
    StageContext,
)
from alpaca_pipe.weights.base import GROWN, TINY


def run(config: ExportConfig, context: StageContext) -> Outcome:
    """See run.py: it is loaded where the work is done, so that a plan need not wait for it."""
    from alpaca_pipe.export.run import export
    from alpaca_pipe.models.out_of_room import room

    with room("export", context.folder, _OUT_OF_MEMORY):
        return export(config, context)


_OUT_OF_MEMORY = (
    "close what else runs on this machine: three copies of the base in fp32 are needed for a while"
)


def estimate(config: ExportConfig, tables: Mapping[str, Any], known: EstimateInputs) -> Estimate:
    base, machine = tables.get("base"), machine_of(tables)
    says = "loads, merges, saves, reloads and compares the model, then writes the dataset"
    if not config.merge or not {"train", "align"} & set(tables):
        return Estimate(Range.about(0.1, 2), "writes the dataset")
    if getattr(base, "model", None) == TINY:
        return Estimate(Range.about(0.1, 2), "a tiny model")
    size = parameters_in(tables) or _MEASURED_ON
    if machine.gpu:
        width = 4 if config.dtype == "float32" else 2
        seconds = loading(size, 3, True) + Range.about(
            size * width / 1e9 + 5 * config.check_rows * size * _ROW_SECONDS, 2
        )
        return Estimate(
            seconds.times(1 / 60),
            says,
            "the CPU of a machine with a GPU: assumed, not measured yet",
        )
    minutes = Range.about(
        (_MERGE_MINUTES + len(config.gguf) * _GATE_MINUTES + config.onnx * _ONNX_MINUTES)
        * size
        / _MEASURED_ON,
        2,
    )
    return Estimate(minutes, says, "SmolLM2-135M measured on 2 CPU cores")


def prove(config: ExportConfig, tables: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """What a file for others needs here is there, before anything is paid."""
    tuned = bool({"train", "align"} & set(tables))
    if config.gguf and tuned:
        _prove_gguf(config)
    if config.onnx and tuned:
        _prove_onnx()


def _prove_gguf(config: ExportConfig) -> None:
    from importlib.util import find_spec

    from alpaca_pipe.export.browser.wllama_package import WLLAMA

    if find_spec("xllamacpp") is None:
        raise UserError(
            "export.gguf: a GGUF is compared with the model by llama.cpp, and xllamacpp is not installed",
            "pip install 'alpaca-pipe[local]', or remove export.gguf",
        )
    if config.browser:
        WLLAMA.files()


def _prove_onnx() -> None:
    from alpaca_pipe.export.onnx.transformers_js import TRANSFORMERS_JS
    from alpaca_pipe.export.onnx.write_onnx import missing_packages

    if missing := missing_packages():
        raise UserError(
            f"export.onnx: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there",
            "pip install 'alpaca-pipe[onnx]', or remove export.onnx",
        )
    TRANSFORMERS_JS.files()


_MEASURED_ON = 135e6
_MERGE_MINUTES = 0.25  # 2026-11: 15 s
_GATE_MINUTES = 0.35  # 2026-11-30: 17 to 24 s for a file, 640 greedy tokens of llama.cpp among them
_ONNX_MINUTES = 2.0  # 2026-11-30: 45 to 55 s of CPU to export, 640 greedy tokens of ONNX Runtime
_ROW_SECONDS = 0.5e-9  # for a parameter and a row of 130 tokens, at 0.5 TFLOP/s in fp32: 16 cores

STAGE = Stage(
    "export",
    version=4,
    config=ExportConfig,
    run=run,
    estimate=estimate,
    uses=("base?",),
    on_gpu=True,
    prove=prove,
    reads=(ROWS, TRAIN, HELD_OUT, f"{TRAINED}?", f"{ALIGNED}?", f"{VERDICT}?", f"{GROWN}?"),
)
