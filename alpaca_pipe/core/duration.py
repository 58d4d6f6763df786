"""Lengths of time in words."""

from __future__ import annotations


def spell(minutes: float) -> str:
    """A length of time for a reader: `40 s`, `12 min`, `2.5 h`."""
    if minutes < 1.5:
        return f"{max(1, round(minutes * 60))} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
