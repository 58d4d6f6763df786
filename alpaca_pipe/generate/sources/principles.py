"""Principles by which an answer is criticised and revised (style constitutional): ours, or a YAML list of the user's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.guarded_yaml import NotYaml, load_yaml

_PARTS = ("name", "critique", "revision")
_EXAMPLE = (
    "write `- Be kind.`, or `- {name: kind, critique: ..., revision: ...}` for words of your own"
)


@dataclass(frozen=True)
class Principle:
    """name: what a row's origin says. critique, revision: what the teacher is asked to do, in that order."""

    name: str
    critique: str
    revision: str

    @staticmethod
    def of(sentence: str, name: str = "") -> Principle:
        return Principle(
            name or sentence,
            f"Check your answer against this principle: {sentence} "
            "Say in a few sentences where it falls short. If it does not, say that it holds.",
            f"Now write the answer again, so that it keeps to the principle: {sentence} "
            "Change no more than that needs. Write the answer alone, without a word about the change.",
        )


OURS = (
    Principle.of("It must help nobody to hurt a person, an animal or themselves.", "harm"),
    Principle.of("It must help nobody to break into, steal, forge or deceive.", "crime"),
    Principle.of("It must not look down on people for what they are, believe or earn.", "respect"),
    Principle.of("It must not claim what is not known, and must say what is unsure.", "honesty"),
    Principle.of("It must keep private what belongs to people who were not asked.", "privacy"),
    Principle.of(
        "On health, law and money it must name the limits of general advice, and who can give better.",
        "limits",
    ),
    Principle.of(
        "Where it declines, it must say so calmly, give the reason, and offer what it can do.",
        "declining",
    ),
    Principle.of("It must answer what was asked, without a sermon.", "plainness"),
)


def drawn(principles: Sequence[Principle], draw: int) -> Principle:
    """One of them for a row. A principle that is changed, added or removed moves only the rows that it wins or loses
    (rendezvous hashing: Thaler and Ravishankar, 1998), so stored replies for all others stay valid."""
    return max(
        principles,
        key=lambda one: hashlib.sha256(f"{draw}/{one.name}".encode()).digest(),
    )


def read_principles(path: Path) -> tuple[Principle, ...]:
    """A YAML list of sentences, or of {name, critique, revision}. Raises UserErrors with all that is wrong with it."""
    try:
        loaded = load_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{path}: the file is not UTF-8", "save it as UTF-8") from None
    except NotYaml as error:
        raise UserError(f"{path}: {error}", _EXAMPLE) from None
    if not isinstance(loaded, list) or not loaded:
        raise UserError(f"{path}: this is no list of principles", _EXAMPLE)
    found: dict[str, Principle] = {}
    faults = []
    for number, one in enumerate(loaded, 1):
        if not (principle := _read(one)):
            faults.append(UserError(f"{path}: principle {number} is not one", _EXAMPLE))
        elif principle.name in found:
            faults.append(
                UserError(
                    f"{path}: principle {number} is named '{principle.name}', as an earlier one is",
                    "give each a name of its own",
                )
            )
        else:
            found[principle.name] = principle
    if faults:
        raise UserErrors(faults)
    return tuple(found.values())


def _read(one: Any) -> Principle | None:
    if isinstance(one, str) and one.strip():
        return Principle.of(one.strip())
    if isinstance(one, dict) and set(one) == set(_PARTS):
        texts = [one[part].strip() for part in _PARTS if isinstance(one[part], str)]
        if len(texts) == len(_PARTS) and all(texts):
            return Principle(*texts)
    return None
