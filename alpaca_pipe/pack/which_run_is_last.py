"""Results came home: are they the recipe's last run from now on, or a run of other settings, which is kept beside it?"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from alpaca_pipe.data.own_files import identity_of
from alpaca_pipe.recipe.plan import differences
from alpaca_pipe.recipe.store import StepStore

_MOST = 6  # keys in one sentence


def why_apart(
    recipe: str,
    lock: Mapping[str, Any],
    went: Mapping[str, str],
    came: Mapping[str, str],
    other_bytes: Collection[str],
    store: StepStore,
) -> list[str]:
    """Why what came is no continuation of the last run here, a sentence each; none: it is. lock: of that last run; went, came:
    stage -> folder, of the pack that went there and of what came; other_bytes: folders that were made here too, otherwise."""
    here: Mapping[str, str] = lock.get("steps", {})
    anew = [kind for kind, folder in went.items() if here.get(kind, folder) != folder]
    if anew:
        return [f"{' and '.join(anew)} of the last run of {recipe} here is another one"]
    clash = sorted(set(came.values()) & set(other_bytes))
    if clash:
        return [f"{' and '.join(clash)} was made here too, with other bytes"]
    for kind, folder in here.items():
        if came.get(kind, folder) != folder and (said := _settings(store, folder, came[kind])):
            return said
    return []


def joined(lock: Mapping[str, Any], came: Mapping[str, str]) -> dict[str, str]:
    """The steps of the last run once what came belongs to it: of one run, never a mixture. What stood after the first step that
    came otherwise was made from another one."""
    same = itertools.takewhile(
        lambda step: came.get(*step) == step[1], lock.get("steps", {}).items()
    )
    return dict(same) | dict(came)


def at_home(theirs: Any, ours: Any) -> Any:
    """A config of another machine as this one says it: a path of there is that of here, where it ends in the
    same name; another is told by its name."""
    if isinstance(theirs, dict):
        own = ours if isinstance(ours, dict) else {}
        return {key: at_home(value, own.get(key)) for key, value in theirs.items()}
    if isinstance(theirs, list):
        fits = isinstance(ours, list) and len(ours) == len(theirs)
        beside = ours if fits else [None] * len(theirs)
        return [at_home(*pair) for pair in zip(theirs, beside, strict=True)]
    if isinstance(theirs, str) and _absolute(theirs):
        name = PureWindowsPath(theirs).name  # reads / too; no pack changes the name of a file
        return ours if isinstance(ours, str) and PureWindowsPath(ours).name == name else name
    return theirs


def changed_keys(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """What their config sets otherwise than ours, as one would write it on the command line."""
    here, there = dict(_flat(ours)), dict(_flat(theirs))
    return [f"{key}={_written(value)}" for key, value in there.items() if here.get(key) != value]


def few(keys: Sequence[str]) -> str:
    """In one line."""
    more = f" and {len(keys) - _MOST} more" if len(keys) > _MOST else ""
    return " ".join(keys[:_MOST]) + more


def _settings(store: StepStore, here: str, came: str) -> list[str]:
    """How two steps of one kind differ in what the recipe says; none where it is their inputs or the program's version alone."""
    ours, theirs = identity_of(store.root / here), identity_of(store.root / came)
    if not ours or not theirs:
        return [f"{came} is not {here}, and one of them is gone"]
    if (ours["config"], ours["uses"]) == (theirs["config"], theirs["uses"]):
        return []
    same = {"version": ours["version"], "inputs": ours["inputs"]}
    return differences(ours, {**theirs, **same})


def _absolute(text: str) -> bool:
    return "\n" not in text and (
        PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    )


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _written(value: Any) -> str:
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
