"""The static folder: page, Transformers.js, and the model in the places where it looks for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import (
    digest_of,
    file_digest,
    read_json,
    same_file,
    write_json,
)
from alpaca_pipe.export.gguf.gate import questions
from alpaca_pipe.export.onnx.onnx_gate import ANSWERS, onnx_gate
from alpaca_pipe.export.onnx.transformers_js import TRANSFORMERS_JS, VERSION
from alpaca_pipe.export.onnx.write_onnx import write_onnx
from alpaca_pipe.export.static_page.static_page import CONTEXT, PageEngine
from alpaca_pipe.models.decoding import ends
from alpaca_pipe.models.loading import load_model, positions
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.weights.base import Checkpoint

ENGINE = PageEngine(
    Path(__file__).with_name("transformers_engine.js"),
    "worker-src 'self' blob:; connect-src 'self'",
    VERSION,
)
_GRAPH = "without the exporter's notes"
_COPIED = ("tokenizer.json", "generation_config.json")


def digest_of_onnx_page() -> str:
    """Of all that the folder holds but for the model, and of how its graph is written."""
    return ENGINE.digest(_GRAPH)


def write_onnx_folder(
    merged: Path,
    folder: Path,
    name: str,
    encoder: Encoder,
    examples: Sequence[Example],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Writes the folder and answers what is in it: OnnxFigures' fields, files of the model with bytes and sha256, Transformers.js's
    version, megabytes.

    examples: whose questions are asked.  Raises UserError where the file cannot be written, or where ONNX Runtime with it is not the
    model that was trained; the folder is then removed.
    """
    checkpoint = Checkpoint(str(merged))
    model = load_model(checkpoint, "float32").eval()
    asked = questions(examples, composed=False)
    prompts = encoder.prompts(asked[:: max(1, len(asked) // ANSWERS)])  # of ours and of the rows
    own = questions((), composed=False)  # the page is for everybody: no row stands in it
    stops = ends(model, encoder.tokenizer, encoder.form.end_id)
    try:
        file = folder / "model" / "onnx" / "model.onnx"
        say("writing the ONNX graph")
        write_onnx(model, file)
        say(f"{file.name}: asking ONNX Runtime whether it is the trained model")
        figures = onnx_gate(file, model, prompts, stops)
        checks = [
            {"messages": encoder.messages(one), "ids": list(ids)}
            for one, ids in zip(own, encoder.prompts(own), strict=True)
        ]
        told = _around(folder, merged, name, encoder, checks, stops)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    say(f"model.onnx, {told['megabytes']:.0f} MB with its page: {figures.sentence()}")
    return told | {"prompts": len(checks), "stops": list(stops)} | figures._asdict()


def _around(
    folder: Path,
    merged: Path,
    name: str,
    encoder: Encoder,
    checks: Sequence[Mapping[str, Any]],
    stops: Sequence[int],
) -> dict[str, Any]:
    """All but the graph."""
    model = folder / "model"
    (folder / "transformers").mkdir(parents=True)
    for inside, path in TRANSFORMERS_JS.files().items():
        same_file(path, folder / "transformers" / inside)
    for copied in _COPIED:
        same_file(merged / copied, model / copied)
    # Transformers.js does not read chat_template.jinja, in which transformers 5 keeps the template
    words = read_json(merged / "tokenizer_config.json") | {"chat_template": encoder.form.jinja}
    write_json(model / "tokenizer_config.json", words)
    config = read_json(merged / "config.json")
    config["transformers.js_config"] = {"dtype": "fp32", "use_external_data_format": 1}
    write_json(model / "config.json", config)
    files: list[dict[str, Any]] = [
        {
            "path": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": file_digest(path),
        }
        for path in sorted(model.rglob("*"))
        if path.is_file()
    ]
    data = {
        "about": "fp32, by Transformers.js in this browser",
        "files": files,
        "bytes": sum(file["bytes"] for file in files),
        "digest": digest_of(files)[:16],
        "many_turns": encoder.template.many_turns,
        "checks": checks,
        "stops": list(stops),
    }
    megabytes = ENGINE.write(folder, name, data, positions(Checkpoint(str(merged)), CONTEXT))
    return {"files": files, "transformers_js": VERSION, "megabytes": megabytes}
