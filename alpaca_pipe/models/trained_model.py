"""Which model a recipe's runs left: the merged checkpoint of the newest run that has one, else what its training saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.data.own_files import lock_of
from alpaca_pipe.data.run_names import history, matching
from alpaca_pipe.models.loading import is_adapter

NOTE = "template.json"  # stands in every folder of ours that holds a trained model


@dataclass(frozen=True)
class Trained:
    """folder: a checkpoint, or an adapter for the base. run: the run that it belongs to. newer: the last run, where that
    trained nothing. base: the recipe's table `base:` as that run had it. brings: models and data that it was made of.
    rehearsed: the run was a rehearsal. packed: it lies in a folder of its own, in no workspace; base_is: then its base by content, as BaseTable.identity has it."""

    recipe: str
    run: str
    folder: Path
    form: str  # "merged model", "adapter" or "fully tuned model"
    base: Mapping[str, Any]
    newer: str = ""
    brings: tuple[Ingredient, ...] = ()
    packed: bool = False
    rehearsed: bool = False
    base_is: Any = None

    @property
    def workspace(self) -> Path | None:
        return None if self.packed else self.folder.parents[2]  # store/STEP/NAME

    @property
    def template(self) -> tuple[str, str]:
        """Its name, and the sha256 of its text."""
        note = read_json(self.folder / NOTE)
        return note["template"], note["sha256"]

    def lines(self) -> Iterator[str]:
        name, digest = self.template
        run = (
            f"run {self.run}"
            if self.run
            else "a run that is not finished, or came without its history"
        )
        yield f"{self.recipe}: the {self.form} of {run}, tuned from {self.base.get('model', 'a base that is not named')}"
        if self.rehearsed:
            yield "it was tuned in a rehearsal: a tiny model on scripted rows, which shows the road and knows nothing"
        if self.newer:
            yield f"the last run, {self.newer}, made no model"
        yield f"template {name}, sha256 {digest[:12]}: the one it was trained with"


_FOLDERS = (("export", "merged"), ("align", "model"), ("train", "model"))


def find(workspace: Path, recipe: str, when: str = "", *, merged: bool = True) -> Trained:
    """The model of the newest run that left one. when: only of runs that it can mean (`2026-11-20`, `nov`, `2`).
    merged: also one that export merged; else what training itself saved. Raises UserError."""
    runs = history(workspace, recipe)
    lock = lock_of(within(workspace, recipe))
    told = list(reversed(matching(runs, when) if when else runs))
    if when and not told:
        days = ", ".join(sorted({str(row.get("run", ""))[:10] for row in runs})[-5:])
        raise UserError(
            f"{recipe}: there is no run of {when}",
            f"it has runs of {days}" if days else "see `alpaca-pipe history`",
        )
    if not when:  # a run that was killed stands in the lock alone, and is ours all the same
        told = [row for row in told if not row.get("apart")]
        told += [{"run": lock.get("run", ""), **lock}]
        told += [row for row in reversed(runs) if row.get("apart")]
    for row in told:
        if found := _of_run(workspace, recipe, row, told[0], _FOLDERS[0 if merged else 1 :]):
            return found
    config = told[0].get("config") or lock.get("config") or {}
    if not {"train", "align"} & set(config):
        raise UserError(
            f"{recipe}: nothing was trained, this recipe has no 'train:'",
            "add 'base:' and 'train:' to it",
        )
    if any("train" in row.get("steps", {}) for row in told):
        raise UserError(
            f"{recipe}: a model was trained, and its folder is not in {workspace} any more",
            f"`alpaca-pipe run {recipe}` makes it again; unpack the results where it was trained elsewhere",
        )
    others = [row for row in runs if "train" in row.get("steps", {})]
    if when and others:
        raise UserError(
            f"{recipe}: the run {told[0].get('run', when)} trained nothing",
            f"`{recipe}@{others[-1]['run']}` did, or `{recipe}` alone: the newest model",
        )
    raise UserError(
        f"{recipe}: nothing was trained yet",
        f"run `alpaca-pipe run {recipe}`, or with `--until export`",
    )


def _of_run(
    workspace: Path,
    recipe: str,
    row: Mapping[str, Any],
    last: Mapping[str, Any],
    folders: Iterable[tuple[str, str]],
) -> Trained | None:
    steps, base = row.get("steps", {}), (row.get("config") or {}).get("base") or {}
    if "grow" in steps:  # the adapter lies on what grew, the model was tuned from it
        base = {**base, "model": str(within(workspace / "store", steps["grow"]) / "model")}
    newer = "" if row is last else str(last.get("run", ""))
    for stage, name in folders:
        folder = within(workspace / "store", steps[stage]) / name if stage in steps else None
        if folder and (folder / NOTE).is_file():
            form = (
                "merged model"
                if stage == "export"
                else "adapter"
                if is_adapter(folder)
                else "fully tuned model"
            )
            brings = (row.get("terms") or {}).get("brings", ())
            made_of = tuple(Ingredient(*one) for one in brings)
            return Trained(
                recipe,
                str(row.get("run", "")),
                folder,
                form,
                base,
                newer,
                made_of,
                rehearsed=bool(row.get("rehearsal")),
            )
    return None
