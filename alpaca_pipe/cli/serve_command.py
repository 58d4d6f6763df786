"""The command that answers on a port of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from alpaca_pipe.cli.common import ROAD, TONE, Rehearsed, Runs, finished, refuse_packed
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo

app = typer.Typer()


@app.command(rich_help_panel=ROAD)
def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|MODEL",
            help="A recipe that was run (RECIPE@2026-11-20: of that day), a GGUF file, the folder of a checkpoint or of an unpacked adapter, or a known weight.",
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen at; with one that others can reach, a key is asked for."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8080,
    engine: Annotated[
        Literal["auto", "llama.cpp", "transformers", "vllm"],
        typer.Option(help="What it runs on; auto: llama.cpp where there is a GGUF."),
    ] = "auto",
    gguf: Annotated[
        str, typer.Option(metavar="NAME", help="Which of several GGUF files: q4_0, q8_0, f16.")
    ] = "",
    context: Annotated[
        int | None, typer.Option(min=64, help="Tokens of one request and its answer together.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Requests answered at once; 2 if not said.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of computation; all cores but one if not said.")
    ] = None,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
) -> None:
    """Serve a tuned model by OpenAI's API, on this machine, until Ctrl-C. ALPACA_PIPE_SERVE_KEY: the key that clients must send."""
    import os

    from alpaca_pipe.core.files import cache_dir
    from alpaca_pipe.models.packed_adapter import is_packed_adapter
    from alpaca_pipe.pages.listening import Address
    from alpaca_pipe.serve import model_choice
    from alpaca_pipe.serve.adapter_model import merged_choice
    from alpaca_pipe.serve.engines.base import EngineSettings
    from alpaca_pipe.serve.run import KEY, engine_for, served
    from alpaca_pipe.serve.run import serve as answer

    votes = None
    log = cache_dir() / "logs" / "serve.log"
    refuse_packed(model)
    if is_packed_adapter(Path(model)):
        chosen = merged_choice(Path(model), gguf, engine, lambda said: echo(said, err=True))
    elif model_choice.is_a_model(model):
        chosen = model_choice.named_model(model, gguf)
    else:
        called, _, when = model.partition("@")
        name, workspace = finished(called, runs, rehearse)
        chosen = model_choice.tuned_model(workspace, name, when, gguf)
        log = workspace / name / "serve.log"
        votes = workspace / name / "chats" / "votes.jsonl"
    runner = engine_for(chosen, "" if engine == "auto" else engine)
    if gguf and runner.source(chosen) != chosen.gguf:
        raise UserError(
            f"--gguf {gguf} is for llama.cpp, and {runner.name} reads the checkpoint",
            "use --engine llama.cpp, or leave --gguf out",
        )
    given = {"context": context, "threads": threads, "parallel": parallel}
    if idle := [f"--{one}" for one, value in given.items() if value and one not in runner.takes]:
        raise UserError(f"{runner.name} takes no {' and no '.join(idle)}", "leave them out")

    def note(text: str) -> None:
        if not TONE.get().quiet:
            echo(text, err=True)

    def tell(url: str) -> None:
        note(f"the page to talk to it: {url}/")
        echo(f"{url}/v1")

    note(f"{chosen.about}, by {runner.name}: {runner.source(chosen)}")
    answer(
        served(chosen, runner, votes),
        runner,
        EngineSettings(parallel or 2, context, threads, log),
        Address(host, port),
        os.environ.get(KEY, ""),
        tell,
        note,
    )
