"""The shapes of what alpaca-pipe writes into a workspace, for own_files.py; pydantic is loaded when a file is read."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from alpaca_pipe.core.safe_names import is_name, is_path_below


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"{text[:60]!r} is not a name")
    return text


def _below(text: str) -> str:
    if not is_path_below(text):
        raise ValueError(f"{text[:60]!r} is not a file below a folder")
    return text


Name = Annotated[str, AfterValidator(_name)]
Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Config = dict[str, dict[str, Any] | str | int | None]  # tables, and a few plain keys
_OPEN = ConfigDict(extra="allow", strict=True)


class SealedFile(TypedDict):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class _Sealed(TypedDict):
    summary: dict[str, Any]
    files: dict[Annotated[str, AfterValidator(_below)], SealedFile]
    finished: str
    seconds: Figure


class DoneRow(_Sealed, total=False):
    """done.json of a step."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    spent: int | None
    planned: dict[str, Any] | None


class LockRow(TypedDict, total=False):
    """lock.json of a recipe."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    recipe: str
    config: Config
    terms: dict[str, Any] | None
    steps: dict[Name, Name]


class _Run(TypedDict):
    run: Name
    steps: dict[Name, Name]


class HistoryRow(_Run, total=False):
    """A line of history.jsonl."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    at: str
    outcome: str
    cause: str
    rehearsal: bool
    overrides: list[str]
    config: Config
    terms: dict[str, Any] | None
    minutes: dict[Name, Figure]
    machine: str
    apart: (
        bool  # it came from another machine with other settings, and is not the recipe's last run
    )
    changed: list[str]  # what it set otherwise than the last run here


class LogRow(TypedDict, total=False):
    """A line of log.jsonl."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    at: str
    run: str
    stage: str
    event: str
    level: str
    sentence: str
    pid: int
    budget: dict[str, str | int | float | bool | None] | None


class IdentityRow(TypedDict):
    """stage.json of a step."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    kind: Name


SHAPES: dict[str, Any] = {
    "lock.json": LockRow,
    "begun.json": dict[Name, Name],
    "done.json": DoneRow,
    "stage.json": IdentityRow,
    "history.jsonl": HistoryRow,
    "log.jsonl": LogRow,
}


@cache
def adapter(file: str) -> TypeAdapter[Any]:
    return TypeAdapter(SHAPES[file])
