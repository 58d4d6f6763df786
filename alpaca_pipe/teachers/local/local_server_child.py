"""The child of llama_server.py: llama.cpp's server for one GGUF. Run as a module; speaks to its parent only."""

from __future__ import annotations

import json
import secrets
import sys
import threading
from typing import Any

from alpaca_pipe.teachers.local.child_process import lifeline, port_in_use, port_is_free


def main(settings: dict[str, Any]) -> None:
    tell = lifeline()
    port = settings["port"]
    if port and not port_is_free(port):
        tell(port_in_use(port))
        return
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["gguf"]
    params.model_alias = {
        settings["name"]
    }  # otherwise replies carry this machine's path as their model
    params.n_parallel = settings["parallel"]
    params.n_ctx = settings["parallel"] * settings["context"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.hostnames = ["127.0.0.1"]
    params.port = port or 0
    params.ui = False
    params.cors_origins = ""  # no web page may ask through the user's browser
    key = secrets.token_hex(16)
    params.api_keys = [key]
    params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
    params.cache_ram_mib = (
        0  # its store of past prompts grows to 8 GiB; each slot still keeps its last one
    )
    try:
        server = xllamacpp.Server(params)  # returns when the model is loaded and the port listens
    except RuntimeError:
        tell(
            {
                "what": f"llama.cpp cannot serve {settings['gguf']}",
                "cure": "take another GGUF, or lower `teacher.context` or `teacher.concurrency` if memory ran out",
            }
        )
        return
    tell({"url": server.listening_address + "/v1", "key": key})
    threading.Event().wait()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
