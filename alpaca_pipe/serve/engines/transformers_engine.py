"""`transformers serve`: a checkpoint's folder, on a GPU where there is one. It knows no key: whoever has an account on this
machine could ask it beside us."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from pathlib import Path

from alpaca_pipe.serve.engines.base import EngineSettings, ServingEngine
from alpaca_pipe.serve.engines.outside_server import free_port, outside_server
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.teachers.local.child_process import Child


class TransformersEngine(ServingEngine):
    name = "transformers"
    paths = frozenset({"chat/completions", "completions", "responses"})
    takes = frozenset[str]()

    def missing(self, model: ModelChoice) -> tuple[str, str] | None:
        if model.checkpoint is None:
            return f"{model.name}: there is no merged checkpoint of it", "set export.merge: true"
        if not all(map(find_spec, ("transformers", "fastapi", "uvicorn"))):
            return "transformers serve is not installed", "pip install 'alpaca-pipe[serve]'"
        return None

    def open(self, model: ModelChoice, how: EngineSettings) -> AbstractAsyncContextManager[Child]:
        port = free_port()
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
        command += [str(model.checkpoint), "--host", "127.0.0.1", "--port", str(port)]
        return outside_server(self.name, command, port, "/health", "", how.log)

    def source(self, model: ModelChoice) -> Path | None:
        return model.checkpoint

    def fixed(self, model: ModelChoice) -> Mapping[str, object]:
        return {"model": str(model.checkpoint)}
