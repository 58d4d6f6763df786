"""`alpaca-pipe status --watch`: the same page again and again, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from alpaca_pipe.core.screen import echo, echo_json, new_console
from alpaca_pipe.recipe.status import Status, lines, recipes_of, status
from alpaca_pipe.recipe.workspace import Workspace

_EVERY = 2.0  # seconds


def watch_status(
    workspace: Workspace,
    recipe: str | None,
    as_json: bool,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """At a terminal the page stands in its place and changes; elsewhere it is printed when it has changed, and with as_json as
    one line of JSON. Ends by Ctrl-C, which is its usual end.  pause: waits for so many seconds."""
    looks = _looks(workspace, recipe, pause)
    try:
        if not as_json and new_console().is_terminal:
            _in_place(workspace, looks)
            return
        before = None
        for found in looks:
            if found == before:
                continue
            before = found
            if as_json:
                echo_json({"recipes": [one.to_row() for one in found]}, indent=None)
            else:
                echo(_page(workspace, found))
    except KeyboardInterrupt:
        return


def _looks(
    workspace: Workspace, recipe: str | None, pause: Callable[[float], None]
) -> Iterator[list[Status]]:
    while True:
        yield [status(workspace, name) for name in ([recipe] if recipe else recipes_of(workspace))]
        pause(_EVERY)


def _in_place(workspace: Workspace, looks: Iterator[list[Status]]) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(console=new_console(soft_wrap=True), auto_refresh=False) as live:
        for found in looks:
            live.update(Text(_page(workspace, found)), refresh=True)


def _page(workspace: Workspace, found: list[Status]) -> str:
    return "\n".join(line for one in found for line in lines(one)) or (
        f"nothing was run in {workspace.root} yet"
    )
