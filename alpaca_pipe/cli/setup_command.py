"""`alpaca-pipe setup`: what a recipe needs on this machine."""

from __future__ import annotations

import typer

from alpaca_pipe.cli.common import START
from alpaca_pipe.cli.help_page import PageOfGroup
from alpaca_pipe.core.screen import echo

app = typer.Typer()
setup_app = typer.Typer(
    cls=PageOfGroup, no_args_is_help=True, help="Fetch what a recipe needs on this machine."
)
app.add_typer(setup_app, name="setup", rich_help_panel=START)


@setup_app.callback()
def setup() -> None:
    """Fetch what a recipe needs on this machine."""


@setup_app.command("local")
def setup_local() -> None:
    """Fetch the embedded model (93 MB, once) and export its training checkpoint to the user's cache."""
    from importlib.util import find_spec

    from alpaca_pipe.weights.checkpoint import export_gguf
    from alpaca_pipe.weights.fetch import fetch_gguf
    from alpaca_pipe.weights.known import SMOLLM2

    echo(f"local model: {fetch_gguf(SMOLLM2.name, echo)}")
    if find_spec("torch") is None:
        echo("training checkpoint: not made, the extra 'train' is not installed")
    else:
        echo(f"training checkpoint: {export_gguf(SMOLLM2.name, echo)}")


@setup_app.command("browser")
def setup_browser() -> None:
    """Fetch llama.cpp for browsers from npm (8 MB, once; pinned by digest), for export.browser."""
    from alpaca_pipe.export.browser.wllama_package import WLLAMA

    echo(f"for browsers: {WLLAMA.fetch(echo)}")


@setup_app.command("onnx")
def setup_onnx() -> None:
    """Fetch Transformers.js with its runtime from npm (35 MB, once; pinned by digest), for export.onnx."""
    from alpaca_pipe.export.onnx.transformers_js import TRANSFORMERS_JS
    from alpaca_pipe.export.onnx.write_onnx import missing_packages

    echo(f"for browsers: {TRANSFORMERS_JS.fetch(echo)}")
    if missing := missing_packages():
        echo(f"not here: {', '.join(missing)} - pip install 'alpaca-pipe[onnx]'")
