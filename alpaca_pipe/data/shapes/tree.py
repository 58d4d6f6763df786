"""A tree of messages: the path of the best-ranked answers is the conversation (OpenAssistant), or the one that was left
open (a chat's own export)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import Example, Message
from alpaca_pipe.data.shapes.base import About, NotHeld, ShapeFit
from alpaca_pipe.data.shapes.layout import Layout
from alpaca_pipe.data.shapes.turns import conversation, turns_of
from alpaca_pipe.data.shapes.values import unpacked

name = "tree"


def fit(layout: Layout) -> ShapeFit | None:
    """A prompt that is an object, in a row that says it is a tree; or a mapping of nodes."""
    names = {one.plain for one in layout.columns}
    root = next((one for one in layout.columns if one.plain in ("prompt", "root")), None)
    if root and root.kind in ("object", "json") and names & {"message_tree_id", "tree_state"}:
        return ShapeFit.of(root=root)
    mapping = next((one for one in layout.columns if one.plain == "mapping"), None)
    if mapping and mapping.kind == "object" and "current_node" in names:
        return ShapeFit.of(mapping=mapping)
    return None


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example]:
    path = _best(unpacked(row[key]), about) if (key := fit.key("root")) else _open_path(row)
    said = turns_of(path, f"'{key or fit.key('mapping')}'", about)
    try:
        yield Example.of_messages(_told(said, about), about.origin())
    except ValueError as error:
        raise NotHeld(str(error)) from None


def _told(said: list[Message], about: About) -> list[Message]:
    return conversation([one for one in said if one.text.strip()], about)


def _best(node: Any, about: About) -> list[Any]:
    """From the root to a leaf: of several replies the one of the lowest rank, of those without a rank the first."""
    path: list[Any] = []
    while isinstance(node, dict):
        path.append({"role": node.get("role"), "content": node.get("text") or node.get("content")})
        below = node.get("replies")
        every = [one for one in (below if isinstance(below, list) else ()) if isinstance(one, dict)]
        replies = [
            one for one in every if not one.get("deleted") and one.get("review_result") is not False
        ]
        if len(replies) < len(every):
            about.say("a reply that was deleted or turned down is not read")
        if len(replies) > 1:
            about.say("of several replies the best-ranked one is read")
        node = min(replies, key=_rank) if replies else None
    return path


def _rank(reply: Mapping[str, Any]) -> float:
    rank = reply.get("rank")
    return float(rank) if isinstance(rank, int | float) else float("inf")


def _open_path(row: Mapping[str, Any]) -> list[Any]:
    """From the node that was left open up to the root, in order; hidden and empty nodes are none."""
    nodes, at = row["mapping"], row["current_node"]
    path: list[Any] = []
    passed: set[str] = set()
    while isinstance(at, str) and at not in passed and isinstance(nodes.get(at), dict):
        passed.add(at)
        message, at = nodes[at].get("message"), nodes[at].get("parent")
        content = message.get("content") if isinstance(message, dict) else None
        held = content.get("parts") if isinstance(content, dict) else None
        parts = [one for one in held if one] if isinstance(held, list) else []
        if any(not isinstance(one, str) for one in parts):
            raise NotHeld("it holds a part that is no text")
        if parts:
            path.append({"role": message.get("author"), "content": "\n\n".join(parts)})
    return path[::-1]
