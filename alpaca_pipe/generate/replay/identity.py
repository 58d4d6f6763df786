"""What a recipe's table decides: how the teacher is asked, how its replies are judged, and when it is enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LENGTH = ("count", "max_requests", "max_candidates", "round_size", "times")  # how far it goes
JUDGING = ("likeness", "words", "instances")


def asking(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a table's identity that decides what is asked."""
    return {name: value for name, value in config.items() if name not in (*LENGTH, *JUDGING)}


def judged_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """What is accepted of a reply under one of two identities is accepted under the other."""
    return all(one.get(name) == other.get(name) for name in JUDGING)
