"""What is meant by the words behind `serve`: a recipe's model, a GGUF file, a checkpoint's folder, or a known weight."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.export.gguf.parts import all_parts, is_first, missing_parts
from alpaca_pipe.models.trained_model import find
from alpaca_pipe.weights.gguf import open_gguf
from alpaca_pipe.weights.gguf_header import NoGguf, read_gguf_header
from alpaca_pipe.weights.known import KNOWN


@dataclass(frozen=True)
class ModelChoice:
    """name: what clients call it.  gguf, checkpoint: where it lies, in the one form, the other, or both.
    base: the recipe's table `base:`, where a recipe tuned it.  recipe: whose it is, or empty.  export: how to get a GGUF of it."""

    name: str
    about: str
    gguf: Path | None
    checkpoint: Path | None
    recipe: str = ""
    base: Mapping[str, Any] = field(default_factory=dict)
    export: str = "name a GGUF file"


def is_a_model(text: str) -> bool:
    """Whether the words name a file, a folder with a model, or a known weight, and no recipe."""
    path = Path(text).expanduser()
    return (
        text in KNOWN
        or text.endswith(".gguf")
        or path.is_dir()
        and bool((path / "config.json").is_file() or list(path.glob("*.gguf")))
    )


def named_model(text: str, gguf: str = "") -> ModelChoice:
    """The model that a path or a known name means. gguf: which of a folder's files, as `q8_0`. Raises UserError."""
    path = Path(text).expanduser()
    if gguf and (text in KNOWN or not path.is_dir()):
        raise UserError(
            f"--gguf {gguf} chooses among several files, and {text} is one",
            "leave --gguf out, or name a recipe or a folder",
        )
    if text in KNOWN:
        return ModelChoice(text, text, open_gguf(text), None)
    if path.is_dir():
        checkpoint = path if (path / "config.json").is_file() else None
        file = _of_folder(path, gguf) if gguf or list(path.glob("*.gguf")) else None
        return ModelChoice(path.resolve().name, str(path), file and whole(file), checkpoint)
    if not path.is_file():
        raise UserError(f"there is no file {path}", "give the path of a GGUF file")
    return ModelChoice(path.stem, str(path), whole(path), None)


def tuned_model(workspace: Path, recipe: str, when: str = "", gguf: str = "") -> ModelChoice:
    """The model of a recipe's newest run that left one, see models/trained_model.py. Raises UserError."""
    trained = find(workspace, recipe, when)
    files = trained.folder.parent / "gguf"
    export = f"run `alpaca-pipe run {recipe} 'export.gguf=[q4_0]'`"
    file = None
    if files.is_dir():
        file = whole(_of_folder(files, gguf))
    elif gguf:
        raise UserError(f"{recipe}: no GGUF was exported", export)
    checkpoint = None if trained.form == "adapter" else trained.folder
    about = f"{recipe}: the {trained.form} of run {trained.run or 'that is not finished'}"
    return ModelChoice(recipe, about, file, checkpoint, recipe, trained.base, export)


def whole(path: Path) -> Path:
    """The GGUF, looked at before llama.cpp loads it. Raises UserError for one that is cut short, or is none."""
    if missing := missing_parts(path):
        raise UserError(f"{path}: {missing} of its parts are not beside it", "copy all of them")
    for part in all_parts(path):
        try:
            read_gguf_header(part)
        except NoGguf as error:
            raise UserError(f"{part} {error}", "copy it again, or export it again") from None
        except OSError as error:
            raise UserError(
                f"{part} cannot be read: {error.strerror or error}", "give the path of a GGUF file"
            ) from None
    return path


def _quantization(first: Path) -> str:
    return re.sub(r"-00001-of-\d+$", "", first.stem).rpartition("-")[2]


def _of_folder(folder: Path, gguf: str) -> Path:
    """The file that is asked for; else the one that the Modelfile beside it names, which the recipe asked for first."""
    firsts = filter(is_first, folder.glob("*.gguf"))
    files = {_quantization(path): path for path in sorted(firsts)}
    if not files:
        raise UserError(f"{folder} holds no GGUF file", "export it again")
    if gguf and gguf not in files:
        raise UserError(f"{folder} holds no {gguf} file", did_you_mean(gguf, files))
    modelfile = folder / "Modelfile"
    said = modelfile.read_text(encoding="utf-8") if modelfile.is_file() else ""
    first = re.search(r"^FROM \./(.+\.gguf)$", said, re.MULTILINE)
    named = folder / first[1] if first else None
    if gguf:
        return files[gguf]
    return named if named and named in files.values() else next(iter(files.values()))
