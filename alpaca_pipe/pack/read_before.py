"""What somebody should read before a pack of theirs is unpacked: its recipe, and the code and templates that came along."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.pack.archive import read_box
from alpaca_pipe.pack.manifest import RecipePack, opened
from alpaca_pipe.recipe.located_yaml import read_yaml

_READ = (".yaml", ".yml", ".py", ".jinja", ".jinja2", ".j2", ".sh")
_TEMPLATES = ("prompt", "question", "template")  # keys that name a Jinja file, however it is called


def texts_in(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of each, the recipe first, as a run would read them; nothing of the pack is kept. Raises UserError for what
    is damaged, and for a file that holds no recipe."""
    pack = opened(path)
    if not isinstance(pack, RecipePack):
        raise UserError(f"{path} holds no recipe, so nothing of it is run", "unpack it")
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        read_box(path, folder)
        first = folder / "recipe" / f"{pack.recipe}.yaml"
        named = {first.parent / name for name in _templates(_recipe_in(first))}
        files = [
            file
            for file in sorted(first.parent.rglob("*"))
            if file.is_file() and (file.suffix in _READ or file in named)
        ]
        for file in sorted(files, key=lambda file: file != first):
            name = file.relative_to(folder / "recipe").as_posix()
            yield name, file.read_text(encoding="utf-8", errors="replace")


def _recipe_in(file: Path) -> Any:
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        return read_yaml(text, file.name)[0]
    except (UserError, UserErrors):  # it is read all the same, and nothing runs it
        return None


def _templates(tree: Any, below: bool = False) -> Iterator[str]:
    """The texts that stand under such a key."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _templates(value, below or key in _TEMPLATES)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _templates(value, below)
    elif below and isinstance(tree, str) and "\0" not in tree:
        yield tree
