"""Which model answers, by its own word: whether it is the one that was asked for, and whether it stays the same."""

from __future__ import annotations

import re
from collections.abc import Callable

# What a provider adds to the name that was asked for: a date, a build. One or two digits tell models apart (gpt-5-2).
_DATED = re.compile(r"[-@_](?:\d{3,}[\d.-]*|v\d[\d.-]*|latest|preview(?:[-_]\d[\d-]*)?)")


class ServedModel:
    """Listens to each reply. say: one sentence for each thing that is odd."""

    def __init__(self, asked: str, say: Callable[[str], None]) -> None:
        self._asked, self._say = asked, say
        self._models: list[str] = []
        self._fingerprints: list[str] = []

    def heard(self, model: str, fingerprint: str) -> str:
        """What is odd about a reply's model, as a sentence for the ledger; "" where nothing is, or was said before."""
        odd = []
        if model and model not in self._models:
            if self._models:
                odd.append(
                    f"the model that the server says it serves changed from '{self._models[-1]}' to '{model}'"
                )
            elif self._asked and not is_named(self._asked, model):
                odd.append(
                    f"'{self._asked}' was asked for, and the server says it serves '{model}'"
                )
            self._models.append(model)
        if fingerprint and fingerprint not in self._fingerprints:
            if self._fingerprints and not odd:
                odd.append(
                    f"the server's system_fingerprint changed from {self._fingerprints[-1]} to {fingerprint}"
                )
            self._fingerprints.append(fingerprint)
            if odd and len(self._fingerprints) > 2 and odd[0].startswith("the server's"):
                return odd[0]  # one sentence on the screen is enough; each new one is in the ledger
        for sentence in odd:
            self._say(sentence)
        return "; ".join(odd)


def is_named(asked: str, said: str) -> bool:
    """Whether a served model's name is the asked one, or a dated form of it. Providers' prefixes (openai/, models/) and
    variants behind a colon (:free) are left out."""
    a, b = (re.sub(r":[^:/]*$", "", name.lower()).rsplit("/", 1)[-1] for name in (asked, said))
    a = a.removesuffix("-latest")
    return a == b.removesuffix("-latest") or (
        b.startswith(a) and bool(_DATED.fullmatch(b[len(a) :]))
    )
