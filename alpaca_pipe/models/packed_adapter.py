"""An adapter's folder by itself, as `unpack` lays it down: PEFT's own files, the tokenizer, and a note that says what base it
belongs to and what each file was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest, read_json, write_json
from alpaca_pipe.core.safe_names import is_recipe_name
from alpaca_pipe.models.loading import is_adapter
from alpaca_pipe.models.trained_model import NOTE, Trained

ABOUT = "adapter_of.json"
_WEIGHTS = "adapter_model.safetensors"
NEEDED = ("adapter_config.json", _WEIGHTS, "tokenizer.json", "tokenizer_config.json", NOTE)
_FACTS = {"recipe": str, "run": str, "base": dict, "files": dict}


def is_packed_adapter(folder: Path) -> bool:
    return folder.is_dir() and is_adapter(folder) and (folder / ABOUT).is_file()


def note_of(trained: Trained, base_is: Any) -> dict[str, Any]:
    """What ABOUT holds. base_is: the base known by its content, see BaseTable.identity."""
    return {
        "recipe": trained.recipe,
        "run": trained.run,
        "base": dict(trained.base),
        "base_is": base_is,
        "files": {
            file.name: file_digest(file)
            for file in sorted(trained.folder.iterdir())
            if file.is_file()
        },
    }


def write_note(folder: Path, note: Mapping[str, Any]) -> None:
    write_json(folder / ABOUT, note)


def adapter_in(folder: Path) -> Trained:
    """The model in such a folder. Raises UserError where the note cannot be read, or a file is not as it was packed."""
    try:
        note = read_json(folder / ABOUT)
        sound = all(isinstance(note[name], kind) for name, kind in _FACTS.items())
        sound = sound and is_recipe_name(note["recipe"])  # folders are called so
        sound = sound and set(NEEDED) <= set(note["files"]) and note["base_is"] is not None
    except (OSError, ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise UserError(
            f"{folder / ABOUT} does not say what this adapter is",
            "unpack it again: `alpaca-pipe unpack FILE`",
        )
    for name, digest in note["files"].items():
        if Path(name).name != name or not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing", "unpack it again")
        if file_digest(folder / name, read_again=True) != digest:
            raise UserError(f"{folder / name} is not as it was packed", "unpack it again")
    return Trained(
        note["recipe"],
        note["run"],
        folder.resolve(),
        "adapter",
        note["base"],
        packed=True,
        base_is=note["base_is"],
    )
