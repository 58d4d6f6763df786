"""What every engine is: it takes a model in one of two forms, and serves it on this machine until a block ends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.teachers.local.child_process import Child


@dataclass(frozen=True)
class EngineSettings:
    """parallel: requests answered at once.  context: tokens of one request and its answer together; None: the model's own, by
    llama.cpp at most 4,096.  threads: of computation; None: all cores but one."""

    parallel: int
    context: int | None
    threads: int | None
    log: Path


class ServingEngine(Protocol):
    """One module each beside this one."""

    name: str
    paths: frozenset[str]  # what it answers below /v1/
    takes: frozenset[str]  # of the settings: parallel, context, threads

    @abstractmethod
    def missing(self, model: ModelChoice) -> tuple[str, str] | None:
        """What keeps it from serving this model here, and the cure; None where it can."""

    @abstractmethod
    def open(self, model: ModelChoice, how: EngineSettings) -> AbstractAsyncContextManager[Child]:
        """The running engine. Raises UserError."""

    @abstractmethod
    def source(self, model: ModelChoice) -> Path | None:
        """Which of the model's two forms it reads."""

    @abstractmethod
    def fixed(self, model: ModelChoice) -> Mapping[str, object]:
        """Fields that are set in each request that is passed on."""
