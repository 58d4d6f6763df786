"""The static folder: page, llama.cpp for browsers, and the GGUF, ready for any web host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest, same_file
from alpaca_pipe.export.browser.wllama_package import VERSION, WLLAMA
from alpaca_pipe.export.static_page.static_page import PageEngine

ENGINE = PageEngine(
    Path(__file__).with_name("wllama_engine.js"),
    "worker-src blob:; connect-src 'self' blob:",
    VERSION,
)
_LARGEST = 2_000_000_000  # bytes: what a browser holds in one piece


def write_folder(
    folder: Path, name: str, about: str, ggufs: Sequence[Path], many_turns: bool, context: int
) -> dict[str, Any]:
    """Writes the folder and answers what is in it: files (of the model, with bytes and sha256), wllama's version, megabytes.

    ggufs: one file, or the parts of one in their order; they become hard links where the disk has them.
    context: tokens that the model takes.  Raises UserError where wllama was not fetched.
    """
    files: list[Mapping[str, Any]] = []
    (folder / "wllama").mkdir(parents=True)
    for inside, path in WLLAMA.files().items():
        same_file(path, folder / "wllama" / inside)
    for gguf in ggufs:
        same_file(gguf, folder / gguf.name)
        files.append({"path": gguf.name, "bytes": gguf.stat().st_size, "sha256": file_digest(gguf)})
    size = sum(file["bytes"] for file in files)
    if any(file["bytes"] > _LARGEST for file in files):
        raise UserError(
            f"{ggufs[0].name} has {size / 1e9:.1f} GB, and a browser loads files of 2 GB at most",
            "ask for parts: export.gguf_max_shard_size: 512MB",
        )
    data = {"about": about, "files": files, "bytes": size, "many_turns": many_turns}
    megabytes = ENGINE.write(folder, name, data, context)
    return {"files": files, "wllama": VERSION, "megabytes": megabytes}
