"""`alpaca-pipe init`: a folder with a recipe that plans and rehearses as it is, ten seed tasks, and what to do next."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped, write_atomic
from alpaca_pipe.core.safe_names import is_recipe_name
from alpaca_pipe.generate.seeds.seed_file import template
from alpaca_pipe.generate.sources.passages import READERS

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_DOCUMENTS = "documents"
_LOCAL = "teacher.kind=local_server teacher.model=smollm2-135m-instruct generate.style=two-step generate.max_tokens=80"


def begin(place: str, domain: str, documents: Sequence[Path] = ()) -> list[Path]:
    """Makes the folder `place` with the recipe of its name, and answers the files. Nothing is overwritten: a folder that is
    there may hold documents, and none of our files.

    domain: what the model is for, in a few words.  documents: files and folders that tasks are asked from; default: a folder
    `documents` in `place` or in the working directory, where one of them holds some. Raises UserError.
    """
    folder, domain = Path(place), " ".join(domain.split())
    name = folder.name
    _check(folder, name, domain)
    sources = [Path(path) for path in documents] or _found(folder)
    if missing := next((path for path in sources if not path.exists()), None):
        raise UserError(
            f"{missing}: no such file or folder", "name your documents with --documents"
        )
    words = {
        "name": name,
        "place": str(folder),
        "domain": domain,
        "style": _style(sources, folder),
        "documents": _row(sources, folder),
        "local": _LOCAL + (" generate.documents=[]" if sources else ""),
    }
    texts = {
        "README.md": _filled("README.md", words),
        ".gitignore": _filled("gitignore", words),
        "seeds.csv": template().read_text(encoding="utf-8"),
        f"{name}.yaml": _filled("recipe.yaml", words),
    }
    if there := next(
        (file for file in texts if (folder / file).exists() and file != ".gitignore"), None
    ):
        raise UserError(
            f"{folder / there}: it is there already, and nothing is overwritten",
            "choose another name",
        )
    if folder.exists():
        for file, text in texts.items():
            if not (folder / file).exists():
                write_atomic(folder / file, text)
    else:
        _whole(folder, texts)
    return [folder / file for file in texts]


def hints(folder: Path) -> Iterator[str]:
    """What to see to before the first run."""
    here = Path(".gitignore")
    if Path(".git").exists():
        kept_out = (
            here.read_text(encoding="utf-8", errors="replace").split() if here.is_file() else []
        )
        missing = [
            line
            for line in (".env", "runs/")
            if line not in kept_out and line.rstrip("/") not in kept_out
        ]
        if missing:
            yield f"note: this is a git repository; add {' and '.join(missing)} to .gitignore"
    yield f"next: edit {folder / 'seeds.csv'}, then `alpaca-pipe seeds {folder}` and `alpaca-pipe plan {folder}`"


def _check(folder: Path, name: str, domain: str) -> None:
    if not _NAME.fullmatch(name) or not is_recipe_name(name):
        raise UserError(
            f"a recipe cannot be called '{name}'",
            "give it another name, of letters, digits, - and _",
        )
    if any(file.stem == name for file in shipped("recipes").glob("*.yaml")):
        raise UserError(f"'{name}' is the name of a shipped recipe", "choose another one")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: this is a file", "choose another name")
    if not domain:
        raise UserError(
            "--domain: it is empty",
            'say in a few words what the model is for: --domain "small-animal clinic"',
        )


def _found(folder: Path) -> list[Path]:
    """The first folder of documents that holds any that can be read."""
    for path in (folder / _DOCUMENTS, Path(_DOCUMENTS)):
        if path.is_dir() and any(file.suffix.lower() in READERS for file in path.rglob("*")):
            return [path]
    return []


def _style(sources: Sequence[Path], folder: Path) -> str:
    if not sources:
        return (
            "  style: alpaca                 # tasks like the seeds; `style: documents` with `documents: [../notes]` asks about\n"
            "                                # your own files instead"
        )
    named = ", ".join(_quoted(_seen_from(folder, path)) for path in sources)
    return (
        "  style: documents              # tasks that your own files answer, each row with its file and span\n"
        f"  documents: [{named}]"
    )


def _row(sources: Sequence[Path], folder: Path) -> str:
    return "".join(
        f"| `{_seen_from(folder, path)}` | documents that tasks are asked from |\n"
        for path in sources
    )


def _seen_from(folder: Path, path: Path) -> str:
    return path.as_posix() if path.is_absolute() else Path(os.path.relpath(path, folder)).as_posix()


def _quoted(text: str) -> str:
    return (
        text
        if re.fullmatch(r"[\w./-]+", text)
        else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def _filled(file: str, words: dict[str, str]) -> str:
    text = (
        resources.files("alpaca_pipe.start").joinpath("template", file).read_text(encoding="utf-8")
    )
    for name, word in words.items():
        # within quotes in YAML; in a comment or a page as it is
        text = text.replace(
            f'"{{{{{name}}}}}"', '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
        )
        text = text.replace(f"{{{{{name}}}}}", word)
    return text


def _whole(folder: Path, texts: dict[str, str]) -> None:
    """The folder appears with all that belongs into it, or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        for file, text in texts.items():
            write_atomic(draft / file, text)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
