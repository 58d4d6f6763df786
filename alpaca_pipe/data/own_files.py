"""What alpaca-pipe wrote into a workspace, read back: a file that is missing is None or empty, one that somebody changed is one
sentence, and no name in it leads out of its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import digest_of

_HALVES = re.compile(r"\\u[dD][89a-fA-F]")


def lock_of(own: Path) -> dict[str, Any]:
    """What the last run of a recipe used; empty before the first. own: its folder in the workspace."""
    return _read(own / "lock.json") or {}


def begun_of(own: Path) -> dict[str, str]:
    """The folder of each kind of step that a recipe last began."""
    return _read(own / "begun.json") or {}


def done_of(folder: Path) -> dict[str, Any] | None:
    """How a step was sealed, or None. UserError where the seal itself was changed since."""
    done = _read(folder / "done.json")
    if done and "seal" in done and done["seal"] != seal_of(done):
        raise _changed(folder / "done.json", "its seal does not fit")
    return done


def seal_of(done: Mapping[str, Any]) -> str:
    """sha256 (hex) of all that done.json says; steps of before 2026-12 have none."""
    return digest_of({name: value for name, value in done.items() if name != "seal"})


def identity_of(folder: Path) -> dict[str, Any] | None:
    """The identity that a step was begun with, or None."""
    return _read(folder / "stage.json")


def history_of(file: Path) -> list[dict[str, Any]]:
    """The runs of a recipe, the oldest first."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise _changed(file, getattr(error, "strerror", None) or "it is not text") from None
    return [
        history_row(line, f"{file}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def history_row(line: str, place: str) -> dict[str, Any]:
    """One run. Raises UserError."""
    return cast("dict[str, Any]", _checked(line, "history.jsonl", place))


def log_row(line: bytes) -> dict[str, Any] | None:
    """A line of a run's log; None for one that is being written, or is none."""
    try:
        return cast("dict[str, Any]", _checked(line.decode(), "log.jsonl", "log.jsonl"))
    except (UserError, UnicodeDecodeError):
        return None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _changed(file, getattr(error, "strerror", None) or "it is not text") from None
    return cast("dict[str, Any]", _checked(text, file.name, str(file)))


def _checked(text: str, shape: str, place: str) -> Any:
    from pydantic import ValidationError

    from alpaca_pipe.data.own_shapes import adapter

    try:
        value = json.loads(text)
        if _HALVES.search(text):  # of a character: no file of ours and no digest can hold one
            json.dumps(value, ensure_ascii=False).encode()
        if value is None or not isinstance(value, dict):
            raise _changed(place, "it is not an object")
        adapter(shape).validate_python(value, strict=True)
        return value
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part)[:40] for part in first["loc"])
        raise _changed(place, f"{key}: {first['msg'].removeprefix('Value error, ')}") from None
    except (ValueError, RecursionError):
        raise _changed(place, "it is not JSON") from None


def _changed(place: Path | str, what: str) -> UserError:
    return UserError(
        f"{place} is not as alpaca-pipe wrote it: {what}",
        "restore a copy of it, or move it away and run the recipe again: replies that are paid for are in the ledger",
    )
