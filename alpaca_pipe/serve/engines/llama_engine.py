"""llama.cpp, in this package's own child process (the package xllamacpp): a GGUF, on any CPU."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.serve.engines.base import EngineSettings, ServingEngine
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.teachers.local.child_process import Child
from alpaca_pipe.weights.gguf_header import read_gguf_header

_USUAL_CONTEXT = 4096  # tokens; a cache of the keys and values of 128,000 would fill most machines


class LlamaEngine(ServingEngine):
    name = "llama.cpp"
    paths = frozenset({"chat/completions", "completions", "responses"})
    takes = frozenset({"parallel", "context", "threads"})

    def missing(self, model: ModelChoice) -> tuple[str, str] | None:
        if model.gguf is None:
            return f"{model.name}: there is no GGUF of it", model.export
        if find_spec("xllamacpp") is None:
            return "llama.cpp is not installed", "pip install 'alpaca-pipe[local]'"
        return None

    @contextlib.asynccontextmanager
    async def open(self, model: ModelChoice, how: EngineSettings) -> AsyncIterator[Child]:
        from alpaca_pipe.teachers.local.llama_server import local_server

        assert model.gguf is not None
        try:
            async with local_server(
                model.gguf,
                name=model.name,
                parallel=how.parallel,
                context=how.context or _context(model),
                port=None,
                threads=how.threads,
                log=how.log,
            ) as child:
                yield child
        except UserError as error:
            if "cannot serve" not in error.what:
                raise
            raise UserError(
                error.what, "take less --context or --parallel, or a smaller file"
            ) from None

    def source(self, model: ModelChoice) -> Path | None:
        return model.gguf

    def fixed(self, model: ModelChoice) -> Mapping[str, object]:
        return {"model": model.name}


def _context(model: ModelChoice) -> int:
    assert model.gguf is not None
    said = read_gguf_header(model.gguf).metadata
    own = said.get(f"{said.get('general.architecture')}.context_length", _USUAL_CONTEXT)
    return min(int(own), _USUAL_CONTEXT)
