"""The person before the terminal: shown one draft at a time, asked for yes, edit, no or quit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.generate.seeds.seeds import SeedRow
from alpaca_pipe.recipe.located_yaml import read_yaml
from alpaca_pipe.start.seed_prompts import Drafted, reworded

if TYPE_CHECKING:
    from rich.console import Console

_KEYS: dict[str, Literal["yes", "edit", "no", "quit"]] = {
    "y": "yes",
    "yes": "yes",
    "e": "edit",
    "edit": "edit",
    "n": "no",
    "no": "no",
    "q": "quit",
    "quit": "quit",
}
_PARTS = ("topic", "instruction", "input", "output")
_SHOWN = 400  # characters of the passage


@dataclass
class Person:
    """Answers the row that is to be kept, None for no. Raises Quit. edit: turns a text into the edited one (None: given up);
    default the editor of $VISUAL or $EDITOR."""

    console: Console
    ask: Callable[[str], str] = input
    edit: Callable[[str], str | None] | None = None

    def decide(self, draft: Drafted, where: str) -> SeedRow | None:
        self._show(draft, where)
        while True:
            try:
                said = self.ask("  y yes   e edit   n no   q quit > ").strip().lower()
            except EOFError:
                raise Quit from None
            match _KEYS.get(said):
                case "yes":
                    return draft.row
                case "no":
                    return None
                case "quit":
                    raise Quit
                case "edit":
                    if (row := self._edited(draft)) is not None:
                        return row
                case _:
                    self.console.print("  one of y, e, n, q", style="dim")

    def _show(self, draft: Drafted, where: str) -> None:
        self.console.print(f"\n{where}   {draft.row.source}", style="bold")
        text = " ".join(draft.passage.split())
        self.console.print(
            f"  notes        {text[:_SHOWN]}{' ...' if len(text) > _SHOWN else ''}",
            style="dim",
        )
        for part in _PARTS:
            if value := getattr(draft.row, part):
                lines = value.replace("\n", "\n" + " " * 15)
                self.console.print(f"  {part:<12} {lines}")
        if draft.row.classification:
            self.console.print("  its output is one of a few labels")

    def _edited(self, draft: Drafted) -> SeedRow | None:
        """The row as it comes out of the editor; None where it was left as it was, or cannot be read."""
        import click

        row = draft.row
        text = (
            "".join(_block(part, getattr(row, part)) for part in _PARTS)
            + f"classification: {str(row.classification).lower()}\n"
        )
        new = (self.edit or (lambda old: click.edit(old, extension=".yaml", require_save=False)))(
            text
        )
        if new is None or new == text:
            self.console.print("  nothing was changed", style="dim")
            return None
        try:
            values, _ = read_yaml(new, "the edited text")
            texts = {
                name: value.strip() if isinstance(value, str) else value
                for name, value in values.items()
            }
            return reworded(
                draft, **{name: "" if value is None else value for name, value in texts.items()}
            )
        except UserError as error:
            self.console.print(f"  not taken: {error}", style="red")
        except ValidationError as error:
            first = error.errors()[0]
            self.console.print(
                f"  not taken: {'.'.join(map(str, first['loc']))}: {first['msg']}",
                style="red",
            )
        return None


class Quit(Exception):
    """The person has had enough for today."""


def _block(name: str, text: str) -> str:
    """A text as YAML that is easy to edit: its lines as they are, indented."""
    if not text:
        return f'{name}: ""\n'
    return f"{name}: |-\n" + "".join(f"  {line}\n" for line in text.split("\n"))
