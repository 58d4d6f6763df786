"""`alpaca-pipe doctor`: what this machine has for a recipe, and for each thing that is missing, its cure."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import cache_dir
from alpaca_pipe.core.screen import Styled, echo_json, put
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.machine.detect import gpus
from alpaca_pipe.models.architecture import has_weights
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.config import check as check_trainable
from alpaca_pipe.weights.gguf import cached_path
from alpaca_pipe.weights.known import KNOWN

_MEMORY = 8.0  # GiB: the quickstart's training of 135M parameters in fp32 peaks below 6
_AMD = Path("/dev/kfd")  # the device of its driver
_DISK = 5.0  # GiB: checkpoint, adapters and merged model of the quickstart take about 2


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. good "maybe": it works without, with less."""

    good: Literal["yes", "maybe", "no"]
    what: str
    cure: str = ""


def print_checks(recipe: Recipe, runs: Path, as_json: bool = False) -> bool:
    """Prints a line for each check; True when nothing is missing that the recipe needs."""
    marks = {
        "yes": Styled("ok  ", "green"),
        "maybe": Styled("note", "yellow"),
        "no": Styled("no  ", "red"),
    }
    found = list(checks(recipe, runs))
    if as_json:
        echo_json([asdict(check) for check in found])
    for check in () if as_json else found:
        put("  ", marks[check.good], f"  {check.what}{f' - {check.cure}' if check.cure else ''}")
    return all(check.good != "no" for check in found)


def checks(recipe: Recipe, runs: Path) -> Iterator[Check]:
    yield _python()
    yield _memory()
    yield _disk(runs)
    yield from _extras(recipe)
    yield _gpu()
    yield from _base(recipe)
    yield from _teacher(recipe)


def _base(recipe: Recipe) -> Iterator[Check]:
    """What a plan looks at; a run opens it before anything is paid."""
    base, train = recipe.tables.get("base"), recipe.stages.get("train")
    if base is None or not isinstance(train, TrainConfig):
        return
    try:
        check_trainable(train, base)
    except UserError as error:
        yield Check("no", f"base: {error.what}", error.cure)
        return
    known = KNOWN.get(str(base.model))
    here = cached_path(known).is_file() if known else has_weights(base)
    if here:
        yield Check("yes", f"base: {base.called}, nothing wrong in its files")
    else:
        cure = (
            "alpaca-pipe setup local"
            if known
            else "a run fetches and opens it before anything is paid"
        )
        yield Check("maybe", f"base: {base.called} is not on this machine yet", cure)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in ((3, 11), (3, 12)):
        return Check("yes", f"Python {version}")
    return Check("no", f"Python {version}", "use 3.11 or 3.12")


def _memory() -> Check:
    try:
        gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return Check("maybe", "memory: this system does not say how much there is")
    if gib >= _MEMORY:
        return Check("yes", f"memory: {gib:.0f} GiB")
    return Check(
        "maybe",
        f"memory: {gib:.1f} GiB, the quickstart wants {_MEMORY:.0f}",
        "close other programs",
    )


def _disk(runs: Path) -> Check:
    there = next(
        folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists()
    )
    gib = shutil.disk_usage(there).free / 2**30
    if not os.access(there, os.W_OK):
        return Check(
            "no",
            f"disk: {there} cannot be written: you have no permission",
            "choose another folder with --runs",
        )
    if gib >= _DISK:
        return Check("yes", f"disk: {gib:.0f} GiB free at {there}")
    return Check(
        "no",
        f"disk: {gib:.1f} GiB free at {there}, {_DISK:.0f} wanted",
        "free some space or use --runs",
    )


def _extras(recipe: Recipe) -> Iterator[Check]:
    wanted = {
        "train": ("torch", "transformers", "trl", "peft", "accelerate"),
        "report": ("matplotlib", "jinja2"),
    }
    if not {"train", "align"} & set(recipe.stages):
        del wanted["train"]
    if getattr(recipe.tables.get("teacher"), "kind", "") == "local_server":
        wanted["local"] = ("xllamacpp",)
    if readers := _readers(getattr(recipe.stages.get("generate"), "documents", ())):
        wanted["documents"] = readers
    for extra, packages in wanted.items():
        missing = [package for package in packages if find_spec(package) is None]
        if missing:
            yield Check(
                "no",
                f"extra '{extra}': {', '.join(missing)} not installed",
                f"pip install 'alpaca-pipe[{extra}]'",
            )
        else:
            yield Check("yes", f"extra '{extra}': {', '.join(packages)}")


def _readers(documents: Iterable[Path]) -> tuple[str, ...]:
    """What it takes to read these files and those in these folders."""
    files = (file for path in documents for file in (path.rglob("*") if path.is_dir() else (path,)))
    reader = {".pdf": "pypdf", ".docx": "docx", ".html": "bs4", ".htm": "bs4"}
    return tuple(
        sorted({reader[file.suffix.lower()] for file in files if file.suffix.lower() in reader})
    )


def _gpu() -> Check:
    if find_spec("torch") is None:
        return Check("maybe", "GPU: not looked for, torch is not installed")
    if gpus() or _AMD.exists():  # to ask torch takes a second and a half
        import torch

        if torch.cuda.is_available():
            return Check(
                "yes", f"GPU: {torch.cuda.get_device_name(0)}, {torch.cuda.device_count()} in all"
            )
    return Check(
        "maybe", "GPU: none, training runs on the CPU", "fine for the quickstart; rent one for 7B"
    )


def _lives(teacher: TeacherTable) -> Iterator[Check]:
    day, ending = today(), teacher.ending()
    if ending and ending.near(day):
        good: Literal["maybe", "no"] = "no" if ending.past(day) else "maybe"
        yield Check(good, f"teacher: {ending.sentence(day)}", ending.cure(day, teacher.mode))
    elif teacher.host is not None:
        yield Check("yes", f"teacher: {teacher.called} at {teacher.host}, no end is announced")
    try:
        if doubt := teacher.priced().doubt(day):
            yield Check("maybe", f"price: {doubt}")
    except UserError as error:
        yield Check("no", f"price: {error.what}", error.cure)


def _teacher(recipe: Recipe) -> Iterator[Check]:
    teacher: TeacherTable | None = recipe.tables.get("teacher")
    if teacher is None:
        return
    if teacher.kind == "local_server" and teacher.model in KNOWN:
        path = cached_path(KNOWN[teacher.model])
        if path.is_file():
            yield Check("yes", f"local model: {path}")
        else:
            yield Check(
                "no",
                f"local model: {teacher.model} is not in {cache_dir()}",
                "alpaca-pipe setup local",
            )
    yield from _lives(teacher)
    name = teacher.key_variable
    if name:
        there = bool(os.environ.get(name))
        yield Check(
            "yes" if there else "no",
            f"key: {name} is {'set' if there else 'not set'}",
            "" if there else f"export {name}=...",
        )
