"""What somebody should read before a pack of theirs is unpacked: its recipe, and the code and templates that came along."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.pack.archive import read_box
from alpaca_pipe.pack.manifest import RecipePack, opened

_READ = (".yaml", ".yml", ".py", ".jinja", ".jinja2", ".j2", ".sh")


def texts_in(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of each, the recipe first, as a run would read them; nothing of the pack is kept. Raises UserError for what
    is damaged, and for a file that holds no recipe."""
    pack = opened(path)
    if not isinstance(pack, RecipePack):
        raise UserError(f"{path} holds no recipe, so nothing of it is run", "unpack it")
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        read_box(path, folder)
        files = [file for file in sorted((folder / "recipe").rglob("*")) if file.suffix in _READ]
        first = folder / "recipe" / f"{pack.recipe}.yaml"
        for file in sorted(files, key=lambda file: file != first):
            name = file.relative_to(folder / "recipe").as_posix()
            yield name, file.read_text(encoding="utf-8", errors="replace")
