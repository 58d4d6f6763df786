"""The runs of a recipe by name, wherever one is meant: `vet`, `vet@2026-11`, `vet@nov`, `vet@2`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.data.own_files import history_of, lock_of

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTH = lazy_regex(r"([a-z]{3,9})[-_ ]?(\d{4})?", re.IGNORECASE)
_LISTED = 8
_TO_THE_SECOND = 19  # characters of a run's id


@dataclass(frozen=True)
class PastRun:
    """A line of history.jsonl. number: 1 is the latest that was finished, 0 one that was not.  says: how the name was understood, where it could mean several."""

    recipe: str
    row: Mapping[str, Any]
    number: int
    says: str = ""

    @property
    def id(self) -> str:
        return str(self.row.get("run", ""))

    @property
    def name(self) -> str:
        return f"{self.recipe}@{self.id}"


def began(run: Mapping[str, Any]) -> str:
    """When a run began, by its id: to be sorted by."""
    return str(run["run"])[:_TO_THE_SECOND]


def history(workspace: Path, recipe: str) -> list[Mapping[str, Any]]:
    """The oldest first; before them those that came from another machine with other settings: none of them is the last run, or
    takes the place of one of ours. Empty where nothing was run."""
    rows = history_of(within(workspace, recipe) / "history.jsonl")
    return sorted(rows, key=lambda row: not row.get("apart"))


def matching(runs: Sequence[Mapping[str, Any]], when: str) -> list[Mapping[str, Any]]:
    """Those that `when` can mean: a beginning of the run's date, a month (`nov`, `nov-2026`), a number (1: the latest that was
    finished), the end of its id."""
    ids = [str(run.get("run", "")) for run in runs]
    if re.fullmatch(r"\d{1,3}", when):
        return [run for run, number in zip(runs, numbers(runs), strict=True) if number == int(when)]
    if month := _month(when):
        number, year = month
        return [
            run
            for run, id in zip(runs, ids, strict=True)
            if id[5:7] == number and id[:4] == (year or id[:4])
        ]
    begun = [
        run for run, id in zip(runs, ids, strict=True) if id.startswith(when.replace(":", "-"))
    ]
    return begun or [run for run, id in zip(runs, ids, strict=True) if id.endswith(when)]


def numbers(runs: Sequence[Mapping[str, Any]]) -> list[int]:
    """Of each run its number: 1 is the latest that was finished; 0 for those that were stopped or failed, or came from another
    machine and are kept apart."""
    counted = [finished(run) for run in runs]
    last = sum(counted)
    found = []
    for counts in counted:
        found.append(last if counts else 0)
        last -= counts
    return found


def finished(run: Mapping[str, Any]) -> bool:
    """Whether a run can be the recipe's last one: one that came with other settings from another machine is known by its own
    name alone."""
    return run.get("outcome") == "done" and not run.get("apart")


def past_run(workspace: Path, name: str) -> PastRun:
    """`RECIPE` is its last finished run, `RECIPE@WHEN` the last finished one that WHEN can mean (of runs none of which was
    finished, the last). Raises UserError: nothing was run, nothing matches, or a month or the end of an id is of several."""
    recipe, _, when = name.rpartition("@") if "@" in name else (name, "", "")
    recipe = Path(recipe).stem if recipe.endswith((".yaml", ".yml")) else recipe
    runs = history(workspace, recipe)
    if not runs:
        raise _no_run(workspace, recipe)
    own = [run for run in runs if not run.get("apart")]
    found = matching(runs, when) if when else own or runs
    if not found:
        raise UserError(f"{recipe} has no run '{when}'", _those_that_are(runs, when))
    check_meaning(found, when, name)
    ended = [run for run in found if run.get("outcome") == "done"] or found
    run = ended[-1]
    says = (
        f"{name} is {run['run']}, the last of {len(ended)} finished"
        if when and len(ended) > 1
        else ""
    )
    return PastRun(recipe, run, numbers(runs)[runs.index(run)], says)


def _no_run(workspace: Path, recipe: str) -> UserError:
    """None has come to an end; the first may be under way, or was killed."""
    own = within(workspace, recipe)
    if (own / "log.jsonl").exists() or lock_of(own):
        return UserError(
            f"{recipe}: no run of it has come to an end in {workspace} yet",
            f"`alpaca-pipe status {recipe}` says how far it is; {recipe} without @ means what is there",
        )
    near = sorted(path.parent.name for path in workspace.glob("*/history.jsonl"))
    known = f"{did_you_mean(recipe, near)}; or " if near else ""
    return UserError(
        f"{recipe}: nothing was run in {workspace}", f"{known}start with `alpaca-pipe run {recipe}`"
    )


def _those_that_are(runs: Sequence[Mapping[str, Any]], when: str) -> str:
    """Those that could have been meant: a number is of a finished run."""
    if not re.fullmatch(r"\d{1,3}", when):
        return f"it has {listed(runs)}"
    if not any(numbers(runs)):
        return f"none was finished, and only those have numbers; it has {listed(runs)}"
    return f"of those that were finished it has {listed(runs, finished_ones=True)}; `alpaca-pipe history` lists all"


def check_meaning(found: Sequence[Mapping[str, Any]], when: str, name: str) -> None:
    """Raises UserError where the runs that match are of a month of several years, or share no more than the end of their ids."""
    if when and (
        _month(when)
        and len({str(run["run"])[:4] for run in found}) > 1
        or len(found) > 1
        and not str(found[0]["run"]).startswith(when[:4])
        and not _month(when)
    ):
        raise UserError(
            f"'{name}' can mean {len(found)} runs: {', '.join(str(run.get('run', '')) for run in found[-_LISTED:])}",
            "write the year too, or more of the run's name",
        )


def listed(runs: Sequence[Mapping[str, Any]], *, finished_ones: bool = False) -> str:
    """Their names, the latest ones, with the number by which each can be meant too. runs: all of them."""
    names = [
        f"{run.get('run', '')}{f' (@{number})' if number else ''}"
        for run, number in zip(runs, numbers(runs), strict=True)
        if number or not finished_ones
    ]
    return ("... " if len(names) > _LISTED else "") + ", ".join(names[-_LISTED:])


def _month(when: str) -> tuple[str, str | None] | None:
    """("11", "2026") of `nov-2026`."""
    found = _MONTH.fullmatch(when)
    numbers = [
        number
        for number, month in enumerate(_MONTHS, 1)
        if found and month.startswith(found[1].lower())
    ]
    return (f"{numbers[0]:02d}", found[2]) if found and len(numbers) == 1 else None
