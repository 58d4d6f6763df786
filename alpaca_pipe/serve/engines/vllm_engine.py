"""vLLM's own OpenAI server, where it is installed: a checkpoint's folder, on a GPU."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from alpaca_pipe.serve.engines.base import EngineSettings, ServingEngine
from alpaca_pipe.serve.engines.outside_server import free_port, outside_server
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.teachers.local.child_process import Child


class VllmEngine(ServingEngine):
    name = "vllm"
    paths = frozenset({"chat/completions", "completions", "responses"})
    takes = frozenset({"parallel", "context"})

    def missing(self, model: ModelChoice) -> tuple[str, str] | None:
        if model.checkpoint is None:
            return f"{model.name}: there is no merged checkpoint of it", "set export.merge: true"
        if shutil.which("vllm") is None:
            return "vLLM is not installed", "pip install vllm, in an environment that fits its CUDA"
        return None

    def open(self, model: ModelChoice, how: EngineSettings) -> AbstractAsyncContextManager[Child]:
        port, key = free_port(), secrets.token_hex(16)
        command = ["vllm", "serve", str(model.checkpoint), "--served-model-name", model.name]
        command += ["--host", "127.0.0.1", "--port", str(port), "--api-key", key]
        command += ["--max-num-seqs", str(how.parallel)]
        if how.context:
            command += ["--max-model-len", str(how.context)]
        return outside_server(self.name, command, port, "/health", key, how.log)

    def source(self, model: ModelChoice) -> Path | None:
        return model.checkpoint

    def fixed(self, model: ModelChoice) -> Mapping[str, object]:
        return {"model": model.name}
