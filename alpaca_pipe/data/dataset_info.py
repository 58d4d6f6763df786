"""LLaMA-Factory's dataset_info.json: which file is which dataset, and what its columns and speakers are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError

NAME = "dataset_info.json"
# Its words for columns, and ours; `query` is its word for the input.
_COLUMNS = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "history": "history",
    "system": "system",
    "messages": "messages",
    "tools": "tools",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "label",
}
_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "system_tag": "system_role",
}
Named = dict[str, tuple[str, ...]]


def columns_beside(source: Path) -> Named:
    """Part -> columns, as the dataset_info.json beside a file says of it; {} where none does. Raises UserError where two
    entries of one file say different things."""
    found = [
        _named(entry)
        for entry in _entries(source.parent).values()
        if _file_of(entry) == source.name
    ]
    if any(one != found[0] for one in found):
        raise UserError(
            f"{source}: {NAME} beside it has {len(found)} entries of this file that differ",
            "say with --columns which column is what, and it is not looked at",
        )
    return found[0] if found else {}


def file_named(folder: Path, name: str | None) -> Path | None:
    """Of a folder with such a file the file of rows that is meant: the one that it names, or that of the entry `name`; None
    where there is no such file in it. Raises UserError where it names several."""
    entries = {name: entry for name, entry in _entries(folder).items() if _file_of(entry)}
    there = {one: folder / str(_file_of(entry)) for one, entry in entries.items()}
    there = {one: path for one, path in there.items() if path.exists()}
    if name in there:
        return there[name]
    if len(set(there.values())) > 1:
        first = next(iter(there))
        raise UserError(
            f"{folder}: its {NAME} names {len(there)} datasets: {', '.join(there)}",
            f"name one of them: --split {first}, or its file: {there[first]}",
        )
    return next(iter(there.values()), None)


def names_dataset(folder: Path, name: str) -> bool:
    """Whether such a file in the folder has an entry of that name."""
    return name in _entries(folder)


def _entries(folder: Path) -> dict[str, Mapping[str, Any]]:
    """name -> entry, of a dataset_info.json that is LLaMA-Factory's: `datasets` has a file of the same name."""
    path = folder / NAME
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(whole, dict) or "features" in whole:
        return {}
    keys = {"file_name", "hf_hub_url", "ms_hub_url", "script_url", "columns", "formatting"}
    return {
        name: entry
        for name, entry in whole.items()
        if isinstance(entry, dict) and entry.keys() & keys
    }


def _file_of(entry: Mapping[str, Any]) -> str | None:
    name = entry.get("file_name")
    return name if isinstance(name, str) else None


def _named(entry: Mapping[str, Any]) -> Named:
    columns, tags = entry.get("columns") or {}, entry.get("tags") or {}
    named: Named = {}
    for its, ours in (*_COLUMNS.items(), *_TAGS.items()):
        key = columns.get(its) if its in _COLUMNS else tags.get(its)
        if isinstance(key, str):
            named[ours] = (key,)
    return named
