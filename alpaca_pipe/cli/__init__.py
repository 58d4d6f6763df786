"""The commands: one short function each; the work is done in the rooms below."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from alpaca_pipe.cli import books, chat, road, setup, teachers
from alpaca_pipe.core.errors import Stopped, UserError

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
                  help="From seed tasks to a tuned instruction model, with a ledger that knows every cent. "
                       "Add --debug to any command to see the traceback of an error.")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        from alpaca_pipe import __version__

        typer.echo(__version__)
        raise typer.Exit


app.add_typer(road.app)
app.add_typer(chat.app)
app.add_typer(books.app)
app.add_typer(teachers.app, name="teachers")
app.add_typer(setup.app, name="setup")


def main() -> None:
    """The console script. Exit codes: 0 done, 1 our fault, 2 yours to mend, 130 stopped."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    from alpaca_pipe.core.system import check_system
    from alpaca_pipe.recipe.weather import plain_disk_errors

    try:
        check_system()
        with plain_disk_errors(Path.cwd()):
            app()
    except Stopped:
        _fail("stopped; all finished work is kept - run the same command again to go on", 130)
    except UserError as error:
        if debug:
            raise
        _fail(str(error), 2)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, ModuleNotFoundError) and (extra := _extra_of(error.name or "")):
            _fail(f"{error.name} is not installed - pip install 'alpaca-pipe[{extra}]'", 2)
        _fail(f"a fault of ours: {type(error).__name__}: {error} - run again with --debug and report what it prints", 1)


def _extra_of(module: str) -> str | None:
    """The extra of ours that brings a module."""
    extras = {"local": ("xllamacpp",), "report": ("matplotlib", "jinja2", "markupsafe"),
              "train": ("torch", "transformers", "trl", "peft", "accelerate", "gguf", "numpy", "safetensors", "tokenizers")}
    return next((extra for extra, modules in extras.items() if module.split(".")[0] in modules), None)


def _fail(sentence: str, code: int) -> None:
    typer.echo(sentence, err=True)
    sys.exit(code)
