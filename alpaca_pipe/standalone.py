"""One verb on one file: `curate` alone, through the same engine as a whole recipe, its result handed out as a folder."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.files import file_digest, read_json, same_file, write_json
from alpaca_pipe.data.publish import AS, write_as
from alpaca_pipe.data.source_kinds import WrittenAs

if TYPE_CHECKING:
    from rich.console import Console

    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.recipe.stage import Catalog
    from alpaca_pipe.recipe.store import Done
    from alpaca_pipe.recipe.workspace import Workspace

FILES = ("examples.jsonl", "rejected.jsonl", "repaired.jsonl", "groups.jsonl")
SUMMARY = "summary.json"
_SEED = 42
_DECIMALS = {"likeness"}  # options that are exact decimals


@dataclass(frozen=True)
class Curated:
    """A folder that holds the result. summary: read = kept + the sum of rejected; changed: False where it lay there;
    reasoning_left_out: file -> answers whose reasoning its form has no place for."""

    folder: Path
    summary: Mapping[str, Any]
    changed: bool
    reasoning_left_out: Mapping[str, int] = field(default_factory=dict)


def curate(
    source: str,
    out: Path,
    workspace: Workspace,
    console: Console,
    *,
    filters: str = "default",
    options: Mapping[str, Any] | None = None,
    tables: Mapping[str, Any] | None = None,
    written_as: Sequence[WrittenAs] = (),
    verbose: bool = False,
) -> Curated:
    """Cleans a source (file, folder, `hub:owner/name`) into the folder `out`: examples.jsonl, rejected.jsonl,
    repaired.jsonl, groups.jsonl (duplicates), summary.json, and the kept rows in the forms `written_as`; whole or not at all. The same source and options again: nothing is done.

    filters: none, stanford, default, or names with commas. options: keys of the recipe's table `curate:` as a user wrote
    them ({"likeness": "0.65", "words": "rouge", "format": "csv", "keep_going": True ...}; None: not said). tables: shared
    tables that the options need. Raises UserError; Stopped after Ctrl-C, and the same call goes on.
    """
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.recipe.runner import run

    folder = _place(out, Path(source))
    recipe = recipe_of(
        source, f"curate-{_name(folder)}", filters, options or {}, tables or {}, CATALOG
    )
    _check_ours(folder)
    done = run(recipe, CATALOG, workspace, console, verbose=verbose).steps["curate"]
    changed = _hand_out(done, folder, source, recipe, written_as)
    left_out = (_note(folder) or {}).get("reasoning_left_out", {})
    return Curated(folder, done.summary, changed, left_out)


def recipe_of(
    source: str,
    name: str,
    filters: str,
    options: Mapping[str, Any],
    tables: Mapping[str, Any],
    catalog: Catalog,
) -> Recipe:
    """A recipe of the one table `curate:`, nothing held out. Raises UserErrors in the words of the command's options."""
    from pydantic import ValidationError

    from alpaca_pipe.recipe.schema import Recipe

    stage = catalog.stage("curate")
    wanted = {
        "from": source,
        "held_out": 0,
        "filters": filters,
        **{key: value for key, value in options.items() if value is not None},
    }
    for key in _DECIMALS & wanted.keys():
        wanted[key] = _number(key, str(wanted[key]))
    try:
        # JSON mode: strict, and yet a string may become a path; a path is read from the working directory
        config = stage.config.model_validate_json(
            json.dumps(wanted, default=str), context={"folder": Path.cwd()}
        )
    except ValidationError as error:
        raise UserErrors(_explained(item, stage.config) for item in error.errors()) from None
    text = (
        f"# made by: alpaca-pipe curate {source}\n"
        + json.dumps({"curate": wanted}, default=str)
        + "\n"
    )
    return Recipe(name, text, _SEED, {"curate": config}, dict(tables))


def _number(key: str, text: str) -> float:
    """The decimal as JSON carries it: `Exact` makes the same decimal of it again. Raises UserError."""
    try:
        number = Decimal(text)
        if Decimal(str(float(number))) == number:
            return float(number)
    except ArithmeticError:
        pass
    raise UserError(f"--{key}: should be a number, not '{text}'", f"for example --{key} 0.7")


def _explained(item: Any, config: Any) -> UserError:
    """One pydantic error as our sentence, with the option that it is about."""
    key = str(item["loc"][0]) if item["loc"] else ""
    if key == "from":
        what, _, cure = str(item["msg"]).removeprefix("Value error, ").partition(" - ")
        return UserError(
            what,
            cure.replace(
                "a path is read from the folder of the recipe", "name a file or a folder of rows"
            ),
        )
    if key == "duplicates":  # of that table the command has one key
        key = str(item["loc"][-1])
    option = "--" + key.replace("_", "-")
    if item["type"] == "extra_forbidden":
        return UserError(
            f"{option}: there is no such option", did_you_mean(key, config.model_fields)
        )
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "should be")
    what, dash, cure = message.partition(" - ")
    if dash:
        return UserError(f"{option}: {what}", cure)
    return UserError(
        f"{option}: {message}, not '{item['input']}'", "see `alpaca-pipe curate --help`"
    )


def _place(out: Path, source: Path) -> Path:
    """Where the result will lie. Raises UserError where it cannot."""
    folder = out.expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise UserError(
            f"{out}: this is a file, not a folder", "name a folder that is new or empty with -o"
        )
    if source.exists() and (source.resolve() == folder or folder in source.resolve().parents):
        raise UserError(f"{out}: the rows themselves lie there", "name another folder with -o")
    return folder


def _name(folder: Path) -> str:
    return re.sub(r"[^\w.-]", "-", folder.name) or "rows"


def _check_ours(folder: Path) -> None:
    """Raises UserError where the folder holds anything that we did not write, or that was changed since."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    note = _note(folder)
    others = sorted({path.name for path in folder.iterdir()} - {*FILES, *AS.values(), SUMMARY})
    if note is None or others:
        held = others[0] if others else "files of another making"
        raise UserError(
            f"{folder}: the folder is not empty: it holds {held}",
            "name a folder that is new or empty with -o",
        )
    for name, seal in note["files"].items():
        path = folder / name
        if path.is_file() and (
            path.stat().st_size != seal["size"] or file_digest(path) != seal["sha256"]
        ):
            raise UserError(
                f"{path}: it was changed since it was written here, and would be lost",
                "move it elsewhere, or name another folder with -o",
            )


def _note(folder: Path) -> dict[str, Any] | None:
    """summary.json, where it is one of ours."""
    try:
        note: dict[str, Any] = read_json(folder / SUMMARY)
        return note if isinstance(note["files"], dict) and isinstance(note["step"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hand_out(
    done: Done, folder: Path, source: str, recipe: Recipe, written_as: Sequence[WrittenAs]
) -> bool:
    """Lays the sealed files out; False where they lie there. The folder appears whole, under its name, or not at all."""
    note = _note(folder)
    if (
        note
        and note["step"] == done.folder.name
        and all((folder / name).is_file() for name in (*FILES, *(AS[form] for form in written_as)))
    ):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    draft, old = (
        folder.with_name(f".{folder.name}.{mark}"),
        folder.with_name(f".{folder.name}.{mark}.old"),
    )
    try:
        draft.mkdir()
        for name in FILES:
            same_file(done.folder / name, draft / name)
        left_out: dict[str, int] = {}
        seals = {name: dict(done.files[name]) for name in FILES}
        for form in written_as:
            path = draft / AS[form]
            if without := write_as(form, path, draft / "examples.jsonl"):
                left_out[path.name] = without
            seals[path.name] = {"size": path.stat().st_size, "sha256": file_digest(path)}
        figures = {key: done.summary[key] for key in ("read", "kept", "repaired", "rejected")}
        more = {
            key: value
            for key, value in done.summary.items()
            if key not in {*figures, "train", "held_out"}
        }
        write_json(
            draft / SUMMARY,
            {
                **figures,
                **more,
                **({"reasoning_left_out": left_out} if left_out else {}),
                "from": source,
                "options": recipe.resolved()["curate"],
                "step": done.folder.name,
                "finished": done.finished,
                "files": seals,
            },
        )
        if folder.exists():
            folder.rename(old)
        os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    return True
