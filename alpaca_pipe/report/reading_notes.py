"""What reading foreign rows has to say, in lines: the shapes, what each column was taken for, what was left unread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 12  # shapes and keys told; summary.json holds all of them


def reading_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """Of the summary of [curate]; none for rows of our own."""
    shapes = summary.get("shapes", [])
    for one in shapes[:_SHOWN]:
        yield f"read as {shape_text(one)}: {one['rows']:,} rows"
    if len(shapes) > _SHOWN:
        yield f"and in {len(shapes) - _SHOWN} other shapes (summary.json)"
    for remark, rows in summary.get("remarks", {}).items():
        yield f"{remark}: {rows:,} times"
    if cut := summary.get("split_long"):
        long = f"; {cut['over']:,} exchanges are longer by themselves" if cut["over"] else ""
        yield f"{cut['conversations']:,} long conversations came in {cut['pieces']:,} pieces{long}"
    if unread := summary.get("unread", {}):
        shown = ", ".join(f"{key} ({rows:,})" for key, rows in list(unread.items())[:_SHOWN])
        more = f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""
        yield f"left unread: {shown}{more}"


def shape_text(shape: Mapping[str, Any]) -> str:
    """`exchange (instruction: question, input: context, output: answer)`."""
    parts = ", ".join(f"{part}: {keys}" for part, keys in shape["columns"].items())
    return f"{shape['shape']} ({parts})" if parts else str(shape["shape"])
