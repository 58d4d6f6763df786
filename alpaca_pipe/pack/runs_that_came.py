"""Runs that came home with results: into the recipe's history, each under its own name, and what the recipe's last run is then."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from alpaca_pipe.core.files import read_jsonl_so_far, write_json, write_jsonl
from alpaca_pipe.data.run_names import began
from alpaca_pipe.pack.manifest import ResultsPack
from alpaca_pipe.pack.unpacking import Say
from alpaca_pipe.pack.which_run_is_last import at_home, changed_keys, joined, why_apart
from alpaca_pipe.recipe.workspace import Workspace

Row = dict[str, Any]


class RunsTold(NamedTuple):
    """As in Unpacked."""

    apart: tuple[str, ...]
    why: tuple[str, ...]
    changed: tuple[str, ...]


def take_runs(
    workspace: Workspace,
    pack: ResultsPack,
    came: Sequence[Row],
    log: Sequence[Row],
    other_bytes: Collection[str],
    went: Mapping[str, Any],
    say: Say,
) -> RunsTold:
    """went: what was noted when the recipe was packed. The last run here stays the last one, unless what came goes on from it
    with the same settings; a second time changes nothing."""
    own, lock, store = workspace.of(pack.recipe), workspace.lock(pack.recipe), workspace.store
    steps = {kind: name for kind, name in pack.steps.items() if store.done(store.root / name)}
    for kind in pack.steps.keys() - steps.keys():
        say(f"{kind} is said to be {pack.steps[kind]}, which is neither in this file nor here")
    apart = (
        why_apart(pack.recipe, lock, went.get("steps", {}), steps, other_bytes, store)
        if lock
        else []
    )
    history = list(read_jsonl_so_far(own / "history.jsonl"))
    known = {row["run"]: row for row in history}
    brought = {row["run"] for row in came} & {
        row["run"] for row in history if row.get("machine") == pack.machine
    }
    new = [
        _as_ours(row, lock, pack.machine, went, bool(apart))
        for row in came
        if row["run"] not in known
    ]
    if new:
        write_jsonl(own / "history.jsonl", _in_order([*history, *new]))
    _take_log(own / "log.jsonl", log, bool(apart))
    theirs = [*(known[name] for name in sorted(brought)), *new]
    last = theirs[-1] if theirs else {}
    changed = last.get("changed") or ()
    if apart:
        say(f"{'; '.join(apart)}: what came stands in its history, and the last run stays")
        for name in set(steps.values()) - {one for row in theirs for one in row["steps"].values()}:
            say(f"{name} is of no run that ended there: it lies in the store until `gc`")
        return RunsTold(tuple(str(row["run"]) for row in theirs), tuple(apart), tuple(changed))
    if lock and not set(steps.items()) <= set(lock["steps"].items()):
        config = last.get("config") or lock.get("config", {})
        write_json(own / "lock.json", {**lock, "config": config, "steps": joined(lock, steps)})
    return RunsTold((), (), tuple(changed))


def _as_ours(
    row: Row, lock: Mapping[str, Any], machine: str, went: Mapping[str, Any], apart: bool
) -> Row:
    """A run of there as a line of the history here: with paths of here, and with what was set when it was packed."""
    ours = lock.get("config") or {}
    config = at_home(row.get("config") or {}, ours)
    set_ = [*went.get("overrides", ()), *row.get("overrides", ())]
    found = {**row, "config": config, "overrides": list(dict.fromkeys(set_)), "machine": machine}
    if ours and (changed := changed_keys(ours, config)):
        found["changed"] = changed
    return found | ({"apart": True} if apart else {})


def _in_order(rows: Sequence[Row]) -> list[Row]:
    """In the order of time, those that are kept apart first: the last one is the recipe's last run."""
    return sorted(rows, key=lambda row: (not row.get("apart"), began(row)))


def _take_log(file: Any, log: Sequence[Row], apart: bool) -> None:
    """The lines that are not here yet; those of a run that is kept apart stand before our own, of which the last are the last run's."""
    there = list(read_jsonl_so_far(file))
    known = {json.dumps(row, ensure_ascii=False) for row in there}
    lines = [row for row in log if json.dumps(row, ensure_ascii=False) not in known]
    if lines:
        write_jsonl(file, [*lines, *there] if apart else [*there, *lines])
