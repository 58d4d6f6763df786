"""What `--help` prints: plain text, the commands in their groups, headings in bold where it is read on a terminal."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from alpaca_pipe.core.errors import UserError

_PREFIX = "Value error, "  # of the library that reads the words
_EXAMPLES = {  # of a command that needs more than one word
    "init": "alpaca-pipe init acme --domain 'customer support for a bicycle shop'",
    "push": "alpaca-pipe push vet me/vet --dry-run",
}


class Page(TyperCommand):
    """The page of one command, and how its words are refused."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = str(error.message).removeprefix(_PREFIX)
            example = _EXAMPLES.get(self.name or "")
            if example and type(error) is not typer.BadParameter:  # a word is missing
                said = error.format_message().strip().rstrip(".")
                raise UserError(
                    f"{said[:1].lower()}{said[1:]}", f"for example: {example}"
                ) from None
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write_heading = _bold(formatter.write)
        super().format_help(ctx, formatter)


class PageOfGroup(TyperGroup):
    """The page of a group of commands, each with the whole of its first paragraph."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write_heading = _bold(formatter.write)
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        groups = defaultdict(list)
        for name in self.list_commands(ctx):
            command = self.commands[name]
            first, _, _ = (command.help or "").partition("\n\n")
            title = getattr(command, "rich_help_panel", None) or "Commands"
            groups[title].append((name, " ".join(first.split())))
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def _bold(write: Callable[[str], None]) -> Callable[[str], None]:
    """Typer takes the marks out again where the page goes to a file."""
    plain = "NO_COLOR" in os.environ
    return lambda title: write(f"{f'{title}:' if plain else typer.style(f'{title}:', bold=True)}\n")
