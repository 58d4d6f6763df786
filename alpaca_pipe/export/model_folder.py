"""The exported model as one folder for others: the checkpoint, its GGUF and ONNX files, and a card that also says how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import same_file, write_atomic
from alpaca_pipe.data.own_files import done_of

_HEAD = "## Licence"


def gather(step: Path, target: Path, facts: list[tuple[str, str]]) -> None:
    """Fills `target` from a sealed step of export. facts: what else the card is to say, as (name, value).

    Raises UserError where no model was exported.
    """
    merged = step / "merged"
    if not (merged / "README.md").is_file():
        raise UserError(
            "no model was exported, only the dataset", "set export.merge: true, and run again"
        )
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(merged.iterdir()) + sorted((step / "gguf").glob("*")):
        if path.is_file() and path.name != "README.md":
            same_file(path, target / path.name)
    _with_onnx(step / "onnx" / "model", target)
    told = [*facts, *_gate((done_of(step) or {}).get("summary", {}))]
    table = ["## How it was made", "", "| | |", "|---|---|"]
    table += [f"| {name} | {value} |" for name, value in told]
    card = (merged / "README.md").read_text(encoding="utf-8")
    before, found, after = card.partition(_HEAD)
    text = "\n".join([before.rstrip(), "", *table, "", found + after])
    write_atomic(target / "README.md", text.rstrip() + "\n")


def _with_onnx(model: Path, target: Path) -> None:
    """The graph as `onnx/`, where Transformers.js looks for it, with the two files that it reads otherwise than Python does."""
    if not model.is_dir():
        return
    (target / "onnx").mkdir(exist_ok=True)
    for path in sorted((model / "onnx").iterdir()):
        same_file(path, target / "onnx" / path.name)
    for name in ("config.json", "tokenizer_config.json"):
        (target / name).unlink(missing_ok=True)
        same_file(model / name, target / name)


def _gate(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Of each file for others, what its program was found to do with it."""
    for one in summary.get("gguf", ()):
        same = 1 - one["differing"] / max(one["positions"], 1)
        yield (
            one["file"],
            (
                f"sha256 {one['sha256'][:16]}; the ids of {one['prompts']} prompts equal; {same:.1%} of {one['positions']} greedy "
                f"tokens equal; {one['kl']:.2g} nats a token from the checkpoint (limit {one['kl_limit']:g})"
            ),
        )
    if graph := summary.get("onnx"):
        same = 1 - graph["differing"] / max(graph["positions"], 1)
        yield (
            "onnx/model.onnx",
            (
                f"{same:.1%} of {graph['positions']} greedy tokens of ONNX Runtime are the checkpoint's; its logits within "
                f"{graph['largest']:.1e} (limit {graph['limit']:g})"
            ),
        )
