"""The page for a review in the browser: one static file, no network, nothing outside it.

The rows lie in it as JSON that no text can break out of, are shown as text only, and the page's own policy (CSP) lets
nothing run but its one script, by digest.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import digest_of, write_atomic
from alpaca_pipe.curate.review.decisions import Decisions
from alpaca_pipe.curate.review.editing import texts_of
from alpaca_pipe.curate.review.session import PAUSE, ReviewItem
from alpaca_pipe.curate.review.terminal import Queue
from alpaca_pipe.pages.page_parts import digest_for_policy, inside_script

TEMPLATE = Path(__file__).with_name("review_page.html")


def write_page(
    file: Path,
    items: Sequence[ReviewItem],
    decisions: Decisions,
    *,
    recipe: str,
    who: str,
    sitting: str,
) -> int:
    """Writes the page, whole or not at all; answers its bytes. The unread rows come first."""
    page = page_of(items, decisions, recipe=recipe, who=who, sitting=sitting).encode()
    write_atomic(file, page)
    return len(page)


def page_of(
    items: Sequence[ReviewItem], decisions: Decisions, *, recipe: str, who: str, sitting: str
) -> str:
    queue = Queue.of(items, decisions, again=True)
    data = {
        "recipe": recipe,
        "who": who,
        "session": sitting,
        "pause": PAUSE,
        "rows": [_row(item) for item in queue.items],
        "lines": [
            line.to_row() for item in queue.items for line in decisions.told(item.example.id)
        ],
        "read": sorted(decisions.made & {item.example.id for item in queue.items}),
        # the same rows again find the state that a browser kept of them, whatever was decided since
        "state": f"alpaca-pipe review {recipe} {digest_of(sorted(item.example.id for item in items))[:16]}",
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    parts = {
        "title": html.escape(f"{recipe} · review"),
        "data": inside_script(data),
        "script": _digest(template, "script"),
        "style": _digest(template, "style"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _row(item: ReviewItem) -> dict[str, Any]:
    return {
        "id": item.example.id,
        "texts": texts_of(item.example),
        "about": item.example.instruction,
        "verdict": item.verdict,
        "origin": list(item.origin),
        "nearest": item.nearest,
    }


def _digest(template: str, element: str) -> str:
    """Of the template's own script or style, as its policy names it."""
    found = re.search(rf"<{element}>(.*?)</{element}>", template, re.DOTALL)
    assert found, element
    return digest_for_policy(found[1])
