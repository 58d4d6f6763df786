"""What `--help` prints: plain text, the commands in their groups, headings in bold where it is read on a terminal."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class Page(TyperCommand):
    """The page of one command."""

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
