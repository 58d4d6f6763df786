"""One look at a recipe's run, as the page shows it: from the log, the ledger and the steps' own files, which are only read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl_so_far
from alpaca_pipe.data.own_files import done_of
from alpaca_pipe.ledger.entries import Class, Totals
from alpaca_pipe.ledger.money import nanodollars, shown
from alpaca_pipe.ledger.statements.simulated import simulated
from alpaca_pipe.ledger.store.journal import Journal, totals_of
from alpaca_pipe.recipe.status import Status, StepState, rows_of_last_run, status
from alpaca_pipe.recipe.workspace import Workspace

_POINTS = 300  # of a curve: more than a phone has columns
_SENTENCES = 12
_CAPPED: tuple[Class, ...] = ("api", "gpu")  # the classes that have a cap of their own
_NAMES = {"machine": "machine time", "gpu": "GPU time"}
_ENDS = {"done": "finished", "stopped": "was stopped before its end", "failed": "failed"}


@dataclass(frozen=True)
class WatchedRecipe:
    """What is watched. kinds: the stages of the recipe in their order, so that those to come are shown too."""

    workspace: Workspace
    recipe: str
    kinds: Sequence[str]
    rehearsal: bool

    @property
    def report(self) -> Path:
        return self.workspace.of(self.recipe) / "report.html"


@dataclass(frozen=True)
class Look:
    """state: "waiting" (no run yet), "running", "ended" or "lost" (its process is gone without a word). Times are ISO, UTC.

    progress: the last count of the stage at work; rounds: of generate, seats and accepted rows of each; curves: name ->
    (step, loss), and held_out the same on the way; money: shown sums, and of each cap the share that is used.
    """

    at: str
    recipe: str
    rehearsal: bool
    state: str
    headline: str
    since: str = ""
    stages: Sequence[Mapping[str, Any]] = ()
    progress: Mapping[str, Any] = field(default_factory=dict)
    rounds: Sequence[Mapping[str, int]] = ()
    curves: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    held_out: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    money: Mapping[str, Any] = field(default_factory=dict)
    said: Sequence[Mapping[str, str]] = ()
    report: bool = False
    trouble: Sequence[str] = ()


def look(watched: WatchedRecipe) -> Look:
    """Never raises for what is missing, is being written, or was damaged: `trouble` says it."""
    trouble: list[str] = []
    own = watched.workspace.of(watched.recipe)
    try:
        found = status(watched.workspace, watched.recipe)
    except UserError as error:  # a history or a seal that was changed
        return _nothing(watched, "its files cannot be read", [error.what])
    log = list(rows_of_last_run(own / "log.jsonl"))
    state, headline = _state(found, log)
    steps = _current(found)
    stages = list(_stages(watched, found, steps, trouble))
    generate, train = (_folder(watched, steps.get(kind)) for kind in ("generate", "train"))
    return Look(
        datetime.now(UTC).isoformat(timespec="seconds"),
        watched.recipe,
        watched.rehearsal,
        state,
        headline,
        found.now.since if found.now else str(log[0].get("at", "")) if log else "",
        stages,
        found.now.counted if found.now else {},
        list(_rounds(generate)),
        _curves(train, "loss.jsonl", "loss"),
        _curves(train, "eval.jsonl", "eval_loss"),
        _money(watched, found, trouble),
        list(_sentences(log)),
        watched.report.is_file(),
        [*trouble, *([found.trouble] if found.trouble else [])],
    )


def _nothing(watched: WatchedRecipe, headline: str, trouble: Sequence[str]) -> Look:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Look(now, watched.recipe, watched.rehearsal, "lost", headline, trouble=trouble)


def _state(found: Status, log: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    if found.now:
        stage = found.now.stage or "its first step"
        return "running", f"running {stage}" if found.now.run else "in use by another command"
    if not log and not found.last:
        return "waiting", "no run has begun here yet"
    last = log[-1] if log else {}
    began = next((row for row in log if row.get("event") == "began"), {})
    if began and began.get("run") != found.last.get("run"):
        if last.get("event") in _ENDS:
            return "ended", _ENDS[last["event"]]
        return "lost", "its process ended unexpectedly; the next run continues where it was"
    outcome = str(found.last.get("outcome", ""))
    return "ended", _ENDS.get(outcome, outcome)


def _current(found: Status) -> dict[str, StepState]:
    """Of each kind the step that was begun last: after a change an older one may be sealed beside it."""
    return {step.kind: step for step in found.steps}


def _folder(watched: WatchedRecipe, step: StepState | None) -> Path | None:
    return watched.workspace.store.root / step.folder if step and step.state != "gone" else None


def _stages(
    watched: WatchedRecipe, found: Status, steps: Mapping[str, StepState], trouble: list[str]
) -> Iterator[Mapping[str, Any]]:
    kinds = list(dict.fromkeys([*watched.kinds, *steps]))
    now = found.now.stage if found.now else ""
    for kind in kinds:
        step = steps.get(kind)
        state = "to come" if step is None or step.state == "gone" else step.state
        if now in kinds and kinds.index(kind) > kinds.index(now):
            state = "to come"  # what is sealed there is of an earlier run
        elif kind == now:
            state = "running"
        yield {"kind": kind, "state": state, "minutes": _minutes(watched, step, trouble)}


def _minutes(watched: WatchedRecipe, step: StepState | None, trouble: list[str]) -> float | None:
    folder = _folder(watched, step)
    if folder is None or step is None or step.state != "sealed":
        return None
    try:
        done = done_of(folder) or {}
    except UserError as error:
        trouble.append(error.what)
        return None
    return round(float(done.get("seconds", 0.0)) / 60, 2)


def _rows(path: Path | None) -> Iterator[Mapping[str, Any]]:
    """Of a file that may be growing: up to its last whole line."""
    if path is not None and path.is_file():
        yield from read_jsonl_so_far(path)


def _rounds(generate: Path | None) -> Iterator[Mapping[str, int]]:
    for row in _rows(generate and generate / "rounds.jsonl"):
        yield {
            name: int(row[name]) for name in ("seats", "accepted") if isinstance(row.get(name), int)
        }


def _curves(train: Path | None, file: str, key: str) -> dict[str, list[tuple[float, float]]]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in _rows(train and train / file):
        loss, step = row.get(key), row.get("step")
        if isinstance(loss, int | float) and isinstance(step, int | float) and math.isfinite(loss):
            curves.setdefault(str(row.get("which", "tuned")), []).append((step, loss))
    return {name: thinned(points) for name, points in sorted(curves.items(), reverse=True)}


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most _POINTS of them, evenly, the first and the last among them."""
    if len(points) <= _POINTS:
        return list(points)
    last = len(points) - 1
    return [points[round(place * last / (_POINTS - 1))] for place in range(_POINTS)]


def _money(watched: WatchedRecipe, found: Status, trouble: list[str]) -> Mapping[str, Any]:
    """By the ledger's running balances: cheap, however many entries stand behind them."""
    if found.money is None:
        return {}
    money, lines, used = found.money, dict[str, Totals](), {"total": found.money}
    scripted = 0
    try:
        with (
            Journal.open(watched.workspace.ledger, read_only=True) as journal,
            journal.read() as db,
        ):
            for kind in watched.kinds:
                lines[f"requests of {kind}"] = totals_of(
                    db, watched.recipe, stage=kind, class_="api"
                )
            for class_ in get_args(Class)[1:]:
                lines[_NAMES.get(class_, class_)] = totals_of(db, watched.recipe, class_=class_)
            for key in _CAPPED:
                used[key] = totals_of(db, watched.recipe, class_=key)
            scripted = 0 if watched.rehearsal else simulated(db, watched.recipe)
    except UserError as error:
        trouble.append(error.what)
    return {
        "settled": shown(money.settled),
        "lost": shown(money.lost) if money.lost else "",
        "reserved": shown(money.open) if money.open else "",
        "simulated": shown(scripted) if scripted else "",
        "lines": [
            {"name": name, "shown": shown(line.spent), "requests": line.requests}
            for name, line in lines.items()
            if line.spent or line.requests
        ],
        "caps": [
            {"name": f"budget.{key}", "shown": f"${cap}", "used": _used(used.get(key), cap)}
            for key, cap in found.budget.items()
        ],
    }


def _used(held: Totals | None, cap: str) -> float | None:
    """What is spent or reserved, as a share of a cap; None where it is not known."""
    whole = nanodollars(Decimal(cap))
    return round((held.spent + held.open) / whole, 4) if held and whole else None


def _sentences(log: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, str]]:
    """The last that were said, the newest first."""
    said = [row for row in log if row.get("sentence") and row.get("level") != "detail"]
    for row in reversed(said[-_SENTENCES:]):
        yield {name: str(row.get(name, "")) for name in ("at", "stage", "level", "sentence")}
