"""The commands: one short function each; the work is done in the rooms below."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.screen import READER_GONE, echo, hold_streams, nobody_reads


def __getattr__(name: str) -> Any:
    """`app` is the whole of it, for the manual and the shell's completion; a command at work does without."""
    if name == "app":
        from alpaca_pipe.cli.assemble import whole_app

        return whole_app()
    raise AttributeError(name)


def main() -> None:
    """The console script. Exit codes: 0 done, 1 our fault, 2 yours to fix, 130 stopped, 141 nobody reads what is printed."""
    gc.set_threshold(100_000, 20, 20)  # what is loaded stays: no rubbish is looked for in it,
    atexit.register(gc.freeze)  # nor at the end, which took a fifth of `plan`
    hold_streams()
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    from alpaca_pipe.cli.assemble import app_for  # not before the collector has been told
    from alpaca_pipe.core.system import check_system
    from alpaca_pipe.recipe.interrupts import plain_disk_errors

    try:
        check_system()
        with plain_disk_errors(Path.cwd()):
            words = _tone_first(sys.argv[1:])
            if words and "--help" not in words:
                _without_plugins()
            app_for(words)(words)
    except SystemExit as end:
        if (
            type(sys.stdout).__name__ == "PacifyFlushWrapper"
        ):  # typer's, for a help page that nobody reads
            end.code = READER_GONE
        if nobody_reads() and not end.code:
            end.code = READER_GONE
        raise
    except Stopped:
        if nobody_reads():  # it is no news to them, and nobody else stopped it
            sys.exit(READER_GONE)
        _fail("stopped; all finished work is kept - run the same command again to continue", 130)
    except UserError as error:
        if debug:
            raise
        _fail(str(error), 2)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, ModuleNotFoundError) and (extra := _extra_of(error.name or "")):
            _fail(f"{error.name} is not installed - pip install 'alpaca-pipe[{extra}]'", 2)
        if refused := _refused_by_the_system(error):
            _fail(f"{refused} - name another file or folder, or fix that one", 2)
        _fail(
            f"a bug in alpaca-pipe: {type(error).__name__}: {error} - run again with --debug and report what it prints",
            1,
        )


def _refused_by_the_system(error: Exception) -> str:
    """What the system said about a file that is none of the package's own; "" where it named none."""
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop from"):
        return str(error)[0].lower() + str(error)[1:]  # Path.resolve, before Python 3.13
    name = (error.filename2 or error.filename) if isinstance(error, OSError) else None
    if not isinstance(error, OSError) or not isinstance(name, str | bytes) or not name:
        return ""
    path, ours = Path(os.fsdecode(name)), Path(__file__).resolve().parents[1]
    if path.absolute().is_relative_to(ours):
        return ""
    return f"{path}: {(error.strerror or 'it cannot be used').lower()}"


def _without_plugins() -> None:
    """pydantic looks for plugins in the metadata of every installed package. They are not wanted here, and what reads
    metadata is not loaded for them: a twentieth of a `plan`."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    name = "importlib.metadata"
    if name in sys.modules:
        return
    stands_in = ModuleType(name)
    stands_in.__dict__["entry_points"] = lambda **of: import_module(name).entry_points(**of)
    sys.modules[name] = stands_in
    try:
        import_module("pydantic.plugin._loader")
    finally:
        del sys.modules[name]  # nobody else is to meet it


def _tone_first(arguments: list[str]) -> list[str]:
    """-q and -v may stand anywhere: they are put before the command, unless they are the value of another option."""
    tones = {"-q", "--quiet", "-v", "--verbose"}
    if not tones & set(arguments):
        return arguments
    from typer.main import get_command

    from alpaca_pipe.cli.assemble import whole_app

    valued = set(_valued(get_command(whole_app())))
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
