"""`alpaca-pipe chat`: finds the model, loads it, and talks in the way that standard input asks for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from alpaca_pipe.chat.inference import ChatModel, ChatSettings, asked, load, load_base
from alpaca_pipe.chat.pipe import Piped
from alpaca_pipe.chat.repl import Terminal
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.screen import echo, new_console
from alpaca_pipe.models.trained_model import Trained


def talk(
    trained: Trained,
    chats: Path,
    *,
    prompt: str | None = None,
    input: str = "",
    system: str = "",
    base: bool = False,
    how: ChatSettings,
    seed: int | None = None,
    as_json: bool = False,
) -> None:
    """One prompt, the lines of a pipe, or a terminal. chats: where a conversation is saved to. What it says of itself goes to
    standard error, answers to standard output. Raises UserError; Stopped after Ctrl-C outside a terminal's conversation."""
    if prompt is not None and not prompt.strip():
        raise UserError("--prompt is empty", 'write an instruction: --prompt "Name three herbs."')
    interactive = prompt is None and sys.stdin.isatty()
    if interactive and as_json:
        raise UserError(
            "--json is for scripts", "add --prompt TEXT, or pipe instructions in, one a line"
        )
    for line in trained.lines():
        _note(line)
    try:
        tuned = load(trained, _note)
        _note(f"{tuned.where}; nothing is sent anywhere")
        if seed is not None:
            import torch

            torch.manual_seed(seed)
        if interactive:
            _note(
                "the model sees what was said before; /new begins a new conversation. /help lists commands"
                if tuned.holds_conversations
                else "each message is an instruction of its own: the model does not see the ones before. /help lists commands"
            )
            Terminal(
                tuned,
                _once(trained, tuned),
                how,
                new_console(soft_wrap=False),
                _about(trained),
                chats,
                input,
                system,
            ).run()
            return
        piped = Piped(
            tuned,
            load_base(trained, tuned, _note) if base else None,
            how,
            as_json,
            _about(trained),
            _write,
        )
        if prompt is None:
            piped.lines(sys.stdin, input, system)
        else:
            piped.one(asked(prompt, input, system))
    except KeyboardInterrupt:
        raise Stopped from None


def _once(trained: Trained, tuned: ChatModel) -> Callable[[], ChatModel]:
    return cache(lambda: load_base(trained, tuned, _note))


def _about(trained: Trained) -> dict[str, str]:
    name, digest = trained.template
    return {
        "model": f"{trained.recipe}, {trained.form}",
        "run": trained.run,
        "template": f"{name} {digest[:12]}",
    }


def _note(text: str) -> None:
    echo(text, err=True)


def _write(text: str) -> None:
    echo(text, end="")
