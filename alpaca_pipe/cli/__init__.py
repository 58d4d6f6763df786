"""The commands: one short function each; the work is done in the rooms below."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command_name
from typer.models import CommandInfo

from alpaca_pipe.cli import (
    chat_command,
    ledger_commands,
    lookback_commands,
    pack_commands,
    pipeline_commands,
    review_command,
    setup_command,
    start_commands,
    teacher_commands,
)
from alpaca_pipe.cli.common import MONEY, START, TONE, Tone
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.screen import echo

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="From seed tasks to a tuned instruction model, with a ledger that knows every cent. "
    "With any command: -q prints only the result, -v also each request and each dropped row, --debug the traceback of an error.",
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Print only errors and the result.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            help="Also print what happens to each request and why each row was dropped.",
        ),
    ] = False,
) -> None:
    if quiet and verbose:
        raise UserError("both -q and -v are set", "take one of them")
    TONE.set(Tone(quiet, verbose))
    if version:
        from alpaca_pipe import __version__

        echo(__version__)
        raise typer.Exit


app.add_typer(start_commands.app)
app.add_typer(pipeline_commands.app)
app.add_typer(review_command.app)
app.add_typer(pack_commands.app)
app.add_typer(chat_command.app)
app.add_typer(lookback_commands.app)
app.add_typer(ledger_commands.app)
app.add_typer(teacher_commands.app, name="teachers", rich_help_panel=MONEY)
app.add_typer(setup_command.app, name="setup", rich_help_panel=START)


def main() -> None:
    """The console script. Exit codes: 0 done, 1 our fault, 2 yours to mend, 130 stopped."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    from alpaca_pipe.core.system import check_system
    from alpaca_pipe.recipe.interrupts import plain_disk_errors

    os.environ.setdefault(
        "PYDANTIC_DISABLE_PLUGINS", "__all__"
    )  # to look for some reads the metadata of every installed package
    try:
        check_system()
        with plain_disk_errors(Path.cwd()):
            words = _tone_first(sys.argv[1:])
            _meant(words)(words)
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
        _fail(
            f"a fault of ours: {type(error).__name__}: {error} - run again with --debug and report what it prints",
            1,
        )


def _meant(words: list[str]) -> typer.Typer:
    """The app with the one command that is meant: to build all of them takes longer than most of them take to answer."""
    first = next((word for word in words if not word.startswith("-")), "")
    rooms = [
        room.typer_instance
        for room in app.registered_groups
        if room.typer_instance and not room.name
    ]
    one = copy(app)
    one.registered_commands = [
        command for room in rooms for command in room.registered_commands if _name(command) == first
    ]
    one.registered_groups = [
        group for room in (app, *rooms) for group in room.registered_groups if group.name == first
    ]
    return one if one.registered_commands or one.registered_groups else app


def _name(command: CommandInfo) -> str:
    return command.name or get_command_name(command.callback.__name__ if command.callback else "")


def _tone_first(arguments: list[str]) -> list[str]:
    """-q and -v may stand anywhere: they are put before the command, unless they are the value of another option."""
    tones = {"-q", "--quiet", "-v", "--verbose"}
    if not tones & set(arguments):
        return arguments
    valued = set(_valued(typer.main.get_command(app)))
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved = [
        place
        for place, word in enumerate(arguments[:end])
        if word in tones and (not place or arguments[place - 1] not in valued)
    ]
    return [arguments[place] for place in moved] + [
        word for place, word in enumerate(arguments) if place not in moved
    ]


def _valued(command: Any) -> Iterator[str]:
    """The options below a command that take a value."""
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.is_flag:
            yield from parameter.opts
    for below in getattr(command, "commands", {}).values():
        yield from _valued(below)


def _extra_of(module: str) -> str | None:
    """The extra of ours that brings a module."""
    extras = {
        "local": ("xllamacpp",),
        "report": ("matplotlib", "jinja2", "markupsafe"),
        "train": (
            "torch",
            "transformers",
            "trl",
            "peft",
            "accelerate",
            "gguf",
            "numpy",
            "safetensors",
            "tokenizers",
        ),
    }
    return next(
        (extra for extra, modules in extras.items() if module.split(".")[0] in modules), None
    )


def _fail(sentence: str, code: int) -> None:
    echo(sentence, err=True)
    sys.exit(code)
