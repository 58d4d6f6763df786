"""What must run, and why: each step's identity against what is sealed, answered in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog, Stage, used_by
from alpaca_pipe.recipe.store import Done, StepStore
from alpaca_pipe.recipe.workspace import Workspace

Verdict = Literal["up to date", "run", "resume"]


NEVER_RUN = "not run yet with this recipe"  # a reason that says no more than the verdict


@dataclass(frozen=True)
class Step:
    """A stage of a recipe with its verdict. identity and folder are None while an input is not made yet."""

    stage: Stage
    config: Table
    verdict: Verdict
    why: str
    identity: Mapping[str, Any] | None = None
    folder: Path | None = None
    done: Done | None = None
    inputs: Mapping[str, Path] | None = None

    @property
    def on_gpu(self) -> bool:
        """It works on a GPU of this machine; a tune that a provider makes does not."""
        return self.stage.on_gpu and getattr(self.config, "hosted", None) is None


def steps_of(recipe: Recipe, catalog: Catalog, workspace: Workspace) -> list[Step]:
    """The plan of a recipe in a workspace; nothing is written."""
    return plan(recipe, catalog, workspace.store, workspace.lock(recipe.name).get("steps", {}))


def plan(
    recipe: Recipe, catalog: Catalog, store: StepStore, before: Mapping[str, str]
) -> list[Step]:
    """All steps in order. before: stage -> folder name of this recipe's last run (lock.json)."""
    steps: dict[str, Step] = {}
    for kind, config in recipe.stages.items():
        steps[kind] = _step(catalog.stage(kind), config, recipe, store, steps, before.get(kind))
    return list(steps.values())


def _step(
    stage: Stage,
    config: Table,
    recipe: Recipe,
    store: StepStore,
    steps: Mapping[str, Step],
    before: str | None,
) -> Step:
    wanted = [
        (read.rstrip("?"), read.endswith("?"))
        for read in dict.fromkeys((*stage.reads, *config.reads()))
        if read.split("/")[0] in steps
    ]
    for read, _ in wanted:
        source = steps[read.split("/")[0]]
        if source.done is None:
            return Step(
                stage, config, "run", f"it reads {read}, and {source.stage.kind} must run first"
            )
    digests, paths = {}, {}
    for read, optional in wanted:
        kind, _, name = read.partition("/")
        done = steps[kind].done
        digest = done.digest(name) if done else None
        if done is None or digest is None:
            if optional:
                continue
            raise UserError(
                f"{stage.kind}: it reads {read}, which {kind} did not make",
                f"look at the options of '{kind}:' in the recipe",
            )
        digests[read], paths[read] = digest, done.folder / name
    identity = identify(stage, config, recipe, digests)
    folder = store.folder(identity)
    done = store.done(folder)
    if done is None:
        resume = _holds_work(folder)
        why = (
            "an interrupted run left its work; the next run continues from it"
            if resume
            else _changes(identity, store, before)
        )
        return Step(
            stage, config, "resume" if resume else "run", why, identity, folder, None, paths
        )
    damage = done.damage()
    if damage:
        return Step(
            stage,
            config,
            "run",
            f"its sealed result is damaged: {damage}",
            identity,
            folder,
            None,
            paths,
        )
    why = f"made {done.finished[:16].replace('T', ' ')}"
    return Step(stage, config, "up to date", why, identity, folder, done, paths)


def _holds_work(folder: Path) -> bool:
    """Whether an earlier run left more than that it had begun: one that was refused at its first step did no work."""
    return any(path.is_file() and path.name != "stage.json" for path in folder.rglob("*"))


def identify(
    stage: Stage, config: Table, recipe: Recipe, inputs: Mapping[str, str]
) -> dict[str, Any]:
    """kind + version + config without knobs + shared tables that it uses + inputs by content."""
    uses = {
        name: recipe.seed if name == "seed" else recipe.tables[name].identity()
        for name in used_by(stage, config)
        if name == "seed" or name in recipe.tables
    }
    return {
        "kind": stage.kind,
        "version": stage.version,
        "config": config.identity(),
        "uses": {name: value for name, value in uses.items() if value != {}},
        "inputs": dict(inputs),
    }


def _changes(identity: Mapping[str, Any], store: StepStore, before: str | None) -> str:
    """Why this identity is new: what differs from the one that the last run of this recipe had."""
    if before is None:
        return NEVER_RUN
    old = store.identity(before)
    if old is None:
        return "its sealed folder is gone"
    if old == identity:
        return "its result was never sealed"
    return "; ".join(differences(old, identity))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What one identity of a step has otherwise than another one, a sentence each; at least one."""
    kind = new["kind"]
    said = []
    if old["version"] != new["version"]:
        said.append(f"the rules of {kind} changed (version {old['version']} -> {new['version']})")
    for name, value in _flat(new["config"]).items():
        was = _flat(old["config"]).get(name)
        if was != value:
            said.append(f"{kind}.{name} was {_short(was)}, is {_short(value)}")
    for name, value in _flat(new["uses"]).items():
        was = _flat(old["uses"]).get(name)
        if was != value:
            said.append(f"{name} was {_short(was)}, is {_short(value)}")
    for name, value in new["inputs"].items():
        if name not in old["inputs"]:
            said.append(f"it reads {name}, which it did not")
        elif old["inputs"][name] != value:
            said.append(f"{name} has changed")
    said += [f"it reads {name} no more" for name in old["inputs"] if name not in new["inputs"]]
    return said or ["an option that it had is gone"]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= (
            _flat(value, f"{prefix}{name}.")
            if isinstance(value, dict)
            else {f"{prefix}{name}": value}
        )
    return flat


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return f"{text[:12]}..." if len(text) == 64 else text if len(text) <= 60 else f"{text[:57]}..."
