"""What a seat's tasks rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.fast_dataclass import dataclass


@dataclass(frozen=True)
class Ground:
    """What a seat's tasks rest on: a passage of a document, or a row that exists."""

    text: str
    source: str  # file#start-end, or the row's id
    details: Mapping[str, Any] = field(
        default_factory=dict
    )  # kept in the origin of each row: file, start, end ...
    example: Example | None = (
        None  # the row; its id becomes a parent of the rows that are made of it
    )
