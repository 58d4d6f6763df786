"""The page of a static folder, around the engine that answers in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from alpaca_pipe.core.files import digest_of, write_atomic
from alpaca_pipe.pages.page_parts import filled

CONTEXT, MAX_TOKENS = 2048, 512  # tokens: a phone has the memory of a phone
_TEMPLATE = Path(__file__).with_suffix(".html")
# Several threads need a page that is isolated from others; hosts that read this file (Netlify, Cloudflare Pages) send it.
_HEADERS = """\
/*
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
"""


class PageEngine(NamedTuple):
    """script: what static_page.js asks for. policy: from where it may work and load, as a page's policy says it. version: of the
    library that it runs."""

    script: Path
    policy: str
    version: str

    def page(self, title: str, data: Mapping[str, Any]) -> str:
        return filled(_TEMPLATE, title, data, self.script, engine_policy=self.policy)

    def digest(self, *more: str) -> str:
        """Of all that the folder holds but for the model. more: what else makes it."""
        return digest_of([self.version, _HEADERS, CONTEXT, MAX_TOKENS, self.page("", {}), *more])

    def write(self, folder: Path, name: str, data: Mapping[str, Any], context: int) -> float:
        """Writes the page and what a host is told, and answers the megabytes of the whole folder. context: tokens that the model takes."""
        page = self.page(
            f"{name} · in this browser",
            {
                "name": name,
                "context": min(context, CONTEXT),
                "max_tokens": min(MAX_TOKENS, context // 2),
                **data,
            },
        )
        write_atomic(folder / "index.html", page)
        write_atomic(folder / "_headers", _HEADERS)
        return round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6, 1)
