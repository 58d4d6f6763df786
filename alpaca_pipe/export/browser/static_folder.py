"""The static folder: page, llama.cpp for browsers, and the GGUF, ready for any web host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import digest_of, file_digest, same_file, write_atomic
from alpaca_pipe.export.browser.wllama_package import VERSION, WLLAMA
from alpaca_pipe.pages.page_parts import CONVERSATION, filled

TEMPLATE = Path(__file__).with_name("browser_page.html")
_LARGEST = 2_000_000_000  # bytes: what a browser holds in one piece
_CONTEXT, _MAX_TOKENS = 2048, 512  # tokens: a phone has the memory of a phone
# Several threads need a page that is isolated from others; hosts that read this file (Netlify, Cloudflare Pages) send it.
HEADERS = """\
/*
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
"""


def digest_of_page() -> str:
    """Of all that the folder holds but for the model."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in (TEMPLATE, TEMPLATE.with_suffix(".js"), CONVERSATION)
    ]
    return digest_of([VERSION, HEADERS, _CONTEXT, _MAX_TOKENS, *texts])


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
    data = {
        "name": name,
        "about": about,
        "files": files,
        "bytes": size,
        "many_turns": many_turns,
        "context": min(context, _CONTEXT),
        "max_tokens": min(_MAX_TOKENS, context // 2),
    }
    write_atomic(folder / "index.html", filled(TEMPLATE, f"{name} · in this browser", data))
    write_atomic(folder / "_headers", HEADERS)
    whole = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"files": files, "wllama": VERSION, "megabytes": round(whole / 1e6, 1)}
