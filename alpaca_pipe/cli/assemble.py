"""The app that typer runs, put together from the modules beside it; of these, only the one with the command that is meant."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command_name

from alpaca_pipe.cli.common import TONE, Tone
from alpaca_pipe.cli.help_page import Page, PageOfGroup
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo

# Which module has which command. `--help` shows its groups, and the commands in them, in this order.
MODULES = {
    "start_commands": ("init", "migrate", "seeds"),
    "pipeline_commands": (
        [
            "run",
            "plan",
            "curate",
            "rows",
            "trace",
            "report",
            "push",
            "recipes",
            "similarity",
            "schema",
            "show-mask",
            "doctor",
        ]
    ),
    "review_command": ("review",),
    "pack_commands": ("pack", "unpack"),
    "chat_command": ("chat",),
    "serve_command": ("serve",),
    "watch_command": ("watch",),
    "lookback_commands": ("history", "compare", "status", "verify", "gc"),
    "mcp_command": ("mcp",),
    "ledger_commands": ("ledger", "prices", "claims"),
    "teacher_commands": ("teachers",),
    "setup_command": ("setup",),
}


_ORDER = [command for commands in MODULES.values() for command in commands]


class _WholePage(PageOfGroup):
    """The page of the whole app."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=_ORDER.index)


def app_for(words: list[str]) -> typer.Typer:
    """The app with the one command that is named first: to load and build all of them takes longer than most of them take
    to answer. The whole app where none is."""
    first = next((word for word in words if not word.startswith("-")), "")
    module = next((name for name, commands in MODULES.items() if first in commands), None)
    return _app([module], first) if module else whole_app()


@cache
def whole_app() -> typer.Typer:
    return _app(MODULES)


def _app(modules: Iterable[str], only: str = "") -> typer.Typer:
    app = typer.Typer(
        cls=_WholePage,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 100},
        rich_markup_mode=None,  # rich takes as long to load as all the rest of `--help`
        help="From seed tasks to a tuned instruction model, with a ledger that knows every cent. "
        "With any command: -q prints only the result, -v also each request and each dropped row, "
        "--debug the traceback of an error.",
    )
    app.callback(invoke_without_command=True)(_options)
    for name in modules:
        room: typer.Typer = import_module(f"alpaca_pipe.cli.{name}").app
        for command in room.registered_commands:
            command.cls = Page
            named = command.callback.__name__ if command.callback else ""
            if only in ("", command.name or get_command_name(named)):
                app.registered_commands.append(command)
        for group in room.registered_groups:
            assert group.typer_instance is not None
            for command in group.typer_instance.registered_commands:
                command.cls = Page
            if only in ("", group.name):
                app.registered_groups.append(group)
    return app


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
