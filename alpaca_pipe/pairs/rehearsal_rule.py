"""The rule of a rehearsal: a tiny random model's answers have no habits that could be told apart, so the lot decides."""

from __future__ import annotations

import hashlib


def by_lot(question: str, answer: str, ended: bool) -> float:
    """0 to 1, by the texts alone."""
    digest = hashlib.sha256(f"{question}\n{answer}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32
