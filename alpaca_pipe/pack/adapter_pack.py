"""`pack RECIPE --only adapter`: what training learned, with its template, tokenizer, card and digests, in one small file; and
that file unpacked into a folder that `chat`, `serve` and PEFT itself read."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest, read_json
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.data.cards import adapter_card
from alpaca_pipe.models.packed_adapter import ABOUT, NEEDED, adapter_in, note_of, write_note
from alpaca_pipe.models.run_as_base import base_here, plain_model
from alpaca_pipe.models.trained_model import Trained, find
from alpaca_pipe.pack.archive import Source, read_box, write_box
from alpaca_pipe.pack.export_recipe import SUFFIX, Packed, facts_of, refuse_folder
from alpaca_pipe.pack.manifest import STRANGE, AdapterPack, opened
from alpaca_pipe.pack.unpacking import Say, Unpacked
from alpaca_pipe.recipe.workspace import Workspace

_CARD = "README.md"
_PLAIN = re.compile(
    r"[\w.-]+\.(json|jinja|safetensors|model|txt|md)", re.ASCII
)  # nothing that runs


def pack_adapter(
    recipe: str, workspace: Workspace, when: str = "", *, out: Path | None = None
) -> Packed:
    """Writes the file, whole or not at all; nothing is lent and nothing is spent. when: of which run, as in `find`.

    Raises UserError where the run left no adapter, where its base was grown here, or where its step is damaged.
    """
    file = out or Path(f"{recipe}-adapter{SUFFIX}")
    refuse_folder(file)
    if file.exists() and opened(file).kind != "adapter":
        raise UserError(
            f"{file} is there, and is another kind of pack", "name another file with -o"
        )
    trained = find(workspace.root, recipe, when, merged=False)
    _refuse(trained, workspace)
    scratch = workspace.of(recipe) / f".adapter.{secrets.token_hex(4)}"
    try:
        files = _files(trained, workspace, scratch)
        facts = facts_of("adapter", recipe, run=trained.run, steps={})
        os.replace(write_box(file, facts, files), file)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Packed(file, "adapter", recipe, {}, file.stat().st_size)


def _refuse(trained: Trained, workspace: Workspace) -> None:
    name = trained.recipe
    if trained.form != "adapter":
        raise UserError(
            f"{name}: train.method full changed all weights, so there is no adapter",
            f"use the merged model (`alpaca-pipe run {name} --until export`), or train with method: lora",
        )
    if str(trained.base.get("model", "")).startswith(str(workspace.root / "store" / "grow-")):
        raise UserError(
            f"{name}: its adapter was trained on a base that was grown here, which nobody else has",
            f"use the merged model: `alpaca-pipe run {name} --until export`",
        )
    done = workspace.store.done(trained.folder.parent)
    if done is None or (damage := done.damage(read_again=True)):
        raise UserError(
            f"{trained.folder.parent}: {damage if done else 'its step is not finished'}",
            f"`alpaca-pipe run {name}` makes it again",
        )


def _files(trained: Trained, workspace: Workspace, scratch: Path) -> dict[str, Source]:
    scratch.mkdir(parents=True)
    table = base_here(trained)
    shown = Path(table.model).name if isinstance(table.model, Path) else table.model
    if plain_model(table.model).startswith("run:"):
        shown = plain_model(table.model)
    note = note_of(trained, table.identity()["model"])
    note["base"] = {**note["base"], "model": shown}  # no path of this machine
    write_note(scratch, note)
    verdict, terms = _of_run(workspace, trained)
    facts = [
        ("recipe", trained.recipe),
        ("run", trained.run or "not finished"),
        ("base", table.published),
        ("template", trained.template[0]),
        *([("verdict", verdict)] if verdict else []),
    ]
    card = adapter_card(table.published, facts, sorted(note["files"].items()), terms)
    files: dict[str, Source] = {f"adapter/{name}": trained.folder / name for name in note["files"]}
    return files | {f"adapter/{ABOUT}": scratch / ABOUT, f"adapter/{_CARD}": card.encode()}


def _of_run(workspace: Workspace, trained: Trained) -> tuple[str, dict[str, Any]]:
    """The sentence of the run's verdict, where it was evaluated; and what it brought in and accepted."""
    from alpaca_pipe.data.run_names import history

    rows = history(workspace.root, trained.recipe)
    row = next((one for one in rows if one.get("run") == trained.run), None)
    row = row or workspace.lock(trained.recipe)
    steps, terms = row.get("steps", {}), row.get("terms") or {}
    if "evaluate" not in steps:
        return "", terms
    file = within(workspace.root / "store", steps["evaluate"]) / "verdict.json"
    return (str(read_json(file)["sentence"]) if file.is_file() else ""), terms


def unpack_adapter(path: Path, pack: AdapterPack, into: Path, say: Say) -> Unpacked:
    """Lays the folder NAME-adapter into `into`, checked, in one rename. What is there already and differs stays: UserError."""
    target = into / f"{pack.recipe}-adapter"
    into.mkdir(parents=True, exist_ok=True)
    draft = into / f".{target.name}.{secrets.token_hex(4)}"
    draft.mkdir()
    try:
        if read_box(path, draft) != pack.box:
            raise UserError(f"{path} was changed while it was read", "unpack it again")
        folder = draft / "adapter"
        _check(folder, path, pack)
        if not target.exists():
            folder.rename(target)
        elif _digests(target) != _digests(folder):
            raise UserError(
                f"{target} is here already, and is not the packed one",
                "move it away, or unpack into another folder with --into",
            )
        else:
            say("it was unpacked before: nothing changed")
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Unpacked("adapter", pack.recipe, file=target)


def _check(folder: Path, path: Path, pack: AdapterPack) -> None:
    """It is what `pack_adapter` writes: every file is named in its note, and none of them is a program."""
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if gone := sorted({*NEEDED, ABOUT, _CARD} - names):
        raise UserError(f"{path} holds no {gone[0]}", STRANGE)
    if odd := sorted(name for name in names if not _PLAIN.fullmatch(name)):
        raise UserError(f"{path} holds {odd[0]}, which no adapter needs", STRANGE)
    found = adapter_in(folder)
    if found.recipe != pack.recipe or names - {*read_json(folder / ABOUT)["files"], ABOUT, _CARD}:
        raise UserError(f"{path} does not hold the adapter that it names", STRANGE)


def _digests(folder: Path) -> dict[str, str]:
    """Without the note, in which the user may have named the base's folder."""
    return {
        file.name: file_digest(file, read_again=True)
        for file in folder.iterdir()
        if file.is_file() and file.name != ABOUT
    }
