"""What transformers says of the weights that it did not find, or had no place for: to it a warning, to us a fault."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def loading_fault(found: Mapping[str, Any]) -> str | None:
    """Of `output_loading_info=True`, as a part of a sentence; None where all weights found their places.

    Missing ones would be drawn at random, others each time. A head that is tied to the embedding is not missing.
    """
    parts = []
    if missing := found.get("missing_keys"):
        parts.append(f"it lacks {_named(missing)}, which would be drawn at random at each load")
    if unexpected := found.get("unexpected_keys"):
        parts.append(f"it has {_named(unexpected)}, for which its config.json has no place")
    if wrong := found.get("mismatched_keys"):
        name, *shapes = next(iter(wrong))
        parts.append(f"its {name} does not have the shape that its config.json says {shapes or ''}")
    if errors := found.get("error_msgs"):
        parts.append(str(next(iter(errors))))
    return "; ".join(parts) or None


def _named(names: Collection[str]) -> str:
    first = ", ".join(sorted(names)[:2])
    return f"{len(names)} weights ({first}{' ...' if len(names) > 2 else ''})"
