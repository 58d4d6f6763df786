"""The moving parts of one run: each step in turn, estimated, run, sealed and written into the recipe's own records."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alpaca_pipe.core.duration import spell
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import write_json, write_jsonl
from alpaca_pipe.data.own_files import begun_of
from alpaca_pipe.data.run_names import history
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.machine.planned_machine import Machine
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.dotenv import key_names
from alpaca_pipe.recipe.estimates import rented, row_of, with_rent
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.machine_billing import Rent
from alpaca_pipe.recipe.permission import Permission
from alpaca_pipe.recipe.plan import Step, steps_of
from alpaca_pipe.recipe.progress import Screen
from alpaca_pipe.recipe.same_name import KEY, file_in_history
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import (
    Catalog,
    Estimate,
    EstimateInputs,
    Outcome,
    StageContext,
    used_by,
)
from alpaca_pipe.recipe.store import Done
from alpaca_pipe.recipe.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console


Cause = Literal["", "person", "output", "budget", "error"]  # of an end that is not "done"


@dataclass
class Run:
    """What one call of `run` did: the finished steps in order, which of them ran here, and how it ended. cause: why it is not done: a
    person stopped it, nobody reads its output, its budget is used, or an error ended it."""

    id: str
    outcome: Literal["done", "stopped", "failed"] = "done"
    cause: Cause = ""
    steps: dict[str, Done] = field(default_factory=dict)
    ran: dict[str, float] = field(default_factory=dict)  # stage -> seconds in this run


class Engine:
    """One run of one recipe, from its first step to what is remembered of it."""

    def __init__(
        self,
        recipe: Recipe,
        catalog: Catalog,
        workspace: Workspace,
        journal: Journal,
        console: Console,
        stopping: threading.Event,
        this: Run,
        spend: bool | None,
        fresh: bool,
        terms: Permission,
        verbose: bool,
    ) -> None:
        self.recipe, self.catalog, self.workspace, self.journal = (
            recipe,
            catalog,
            workspace,
            journal,
        )
        self.stopping, self.this, self.spend, self.fresh, self.terms = (
            stopping,
            this,
            spend,
            fresh,
            terms,
        )
        self._machine: dict[str, Machine] = {}  # billed for a step's minutes, as far as is planned
        self._caps = workspace.caps(recipe)
        self.screen = Screen(
            console,
            workspace.of(recipe.name) / "log.jsonl",
            lambda: shown(
                journal.totals(recipe=recipe.name, run=this.id).settled + self.rent.running()
            ),
            this.id,
            verbose,
        )
        self.rent = Rent(
            recipe.tables.get("gpu") or GpuTable(),
            journal,
            self._caps,
            self.screen,
            stopping,
            recipe=recipe.name,
            run=this.id,
        )

    def notices(self, about: str, sentences: Iterable[str]) -> None:
        """Before the first step, under what they are about."""
        self.screen.begin(about)
        for sentence in sentences:
            self.screen.say(sentence)

    def road(self, until: str | None, only: str | None) -> None:
        """Each step in turn; the plan is made anew after one that ran, since its result may be what was there before."""
        steps = steps_of(self.recipe, self.catalog, self.workspace)
        # what an estimate finds wrong is said before anything is paid for
        coming = [(step, self._estimate(step)) for step in steps if not step.done]
        wanted = [(step, estimate) for step, estimate in coming if self._wanted(step, until, only)]
        self._look_for_key([step for step, _ in wanted])
        self._prove([step for step, _ in wanted])
        self.screen.begin("machine")
        self.rent.look_ahead(wanted)
        self._machine = rented([step for step, _ in wanted], self.recipe)
        for place, kind in enumerate(self.recipe.stages):
            step = steps[place]
            self.screen.begin(kind)
            if step.done:
                self.screen.say(f"up to date: {step.why}")
                self._finished(kind, step.done)
            elif self.stopping.is_set():
                raise Stopped
            elif only and kind != only:
                raise UserError(
                    f"{only}: it needs {kind}, which must run first ({step.why})",
                    f"run without --only, or with --until {only}",
                )
            else:
                self._finished(kind, self._run(step))
                steps = steps_of(self.recipe, self.catalog, self.workspace)
            if kind in (until, only):
                return

    def _look_for_key(self, wanted: Sequence[Step]) -> None:
        """Said at once, not after what takes a minute; what is stored can be read without."""
        if self.spend is False:
            return
        used = {
            name: self.recipe.tables[name]
            for step in wanted
            for name in step.stage.uses
            if name in self.recipe.tables
        }
        self.screen.begin("teacher")
        asked = used | {step.stage.kind: step.config for step in wanted}
        for name in dict.fromkeys(key_names(asked)):
            if not os.environ.get(name):
                self.screen.say(
                    f"the teacher's key {name} is not set: only stored replies can be read"
                )

    def _prove(self, wanted: Sequence[Step]) -> None:
        """What later steps need is looked at closely before the first one is paid for. The first looks for itself."""
        for step in wanted[1:]:
            if step.stage.prove:
                self.screen.begin(step.stage.kind)
                step.stage.prove(step.config, self.recipe.everything(), self.screen.say)

    def _run(self, step: Step) -> Done:
        kind, folder = step.stage.kind, step.folder
        assert folder is not None and step.identity is not None
        store = self.workspace.store
        with held(folder.with_name(f".{folder.name}.lock"), f"the step {folder.name}"):
            if done := store.done(folder):
                if not done.damage():  # another recipe's run sealed it since we planned
                    return done
                self.screen.say(
                    f"its damaged result is set aside as {store.set_aside(folder).name}"
                )
            estimate = self._estimate(step)
            planned = estimate.minutes.p50
            self.screen.say(f"{step.verdict}: {step.why} (planned: {spell(planned)})")
            self.rent.begin(step, estimate)
            store.begin(folder, step.identity)
            context = self._context(step)
            begun = self._begun()
            if begun.get(kind) != folder.name:
                write_json(self._begun_path(), begun | {kind: folder.name})
            began, started = time.monotonic(), _now()
            try:
                outcome: Outcome = step.stage.run(step.config, context)
            finally:
                self.screen.end()
                seconds = self.this.ran[kind] = time.monotonic() - began
            self.journal.check()
            return store.seal(
                folder,
                outcome.summary,
                {
                    "started": started,
                    "finished": _now(),
                    "seconds": round(seconds, 3),
                    "planned": row_of(with_rent(estimate, self._machine.get(kind))),
                    "spent": self.journal.totals(self.recipe.name, stage=kind).spent,
                    "run": self.this.id,
                    "recipe": self.recipe.name,
                    "machine": _machine(),
                },
            )

    def _estimate(self, step: Step) -> Estimate:
        return step.stage.estimate(step.config, self.recipe.everything(), self._known(step))

    def _wanted(self, step: Step, until: str | None, only: str | None) -> bool:
        """Whether this run is to do it."""
        kinds = list(self.recipe.stages)
        last = until or only
        return (only is None or step.stage.kind == only) and (
            last is None or kinds.index(step.stage.kind) <= kinds.index(last)
        )

    def _known(self, step: Step) -> EstimateInputs:
        return EstimateInputs(step.inputs or {}, self.workspace.root, self.recipe.name)

    def _context(self, step: Step) -> StageContext:
        assert step.folder is not None
        named = used_by(step.stage, step.config)
        tables = {name: table for name, table in self.recipe.tables.items() if name in named}
        kind, folder = step.stage.kind, self.workspace.store.root
        before, begun = (
            self.workspace.lock(self.recipe.name).get("steps", {}).get(kind),
            self._begun().get(kind),
        )
        return StageContext(
            step.folder,
            step.inputs or {},
            tables,
            self.recipe.seed,
            self.journal,
            self.recipe.name,
            self.this.id,
            self.screen,
            self.stopping.is_set,
            self._caps,
            self.rent.phase,
            folder / before if before else None,
            folder / begun if begun else None,
            self.spend,
            self.fresh,
            self.workspace.of(self.recipe.name),
            self.rent.per_hour,
            self.terms.to_row(),
        )

    def _begun_path(self) -> Path:
        return self.workspace.of(self.recipe.name) / "begun.json"

    def _begun(self) -> dict[str, str]:
        """The folder of each kind of step that this recipe last began, sealed or not."""
        return begun_of(self.workspace.of(self.recipe.name))

    def _finished(self, kind: str, done: Done) -> None:
        self.this.steps[kind] = done
        lock = self.workspace.lock(self.recipe.name)
        steps = {
            k: lock.get("steps", {})[k] for k in self.recipe.stages if k in lock.get("steps", {})
        }
        wanted = {
            "recipe": self.recipe.name,
            "config": self.recipe.resolved(),
            "terms": self.terms.to_row(),
            "steps": steps | {kind: done.folder.name},
        }
        if wanted != lock:
            write_json(self.workspace.of(self.recipe.name) / "lock.json", wanted)

    def remember(self, rehearsal: bool) -> None:
        """Appends this run to history.jsonl, unless it found everything as the run before had left it."""
        path = self.workspace.of(self.recipe.name) / "history.jsonl"
        before = history(self.workspace.root, self.recipe.name)
        steps = self._current()
        if not self.this.ran and steps == (before[-1]["steps"] if before else {}):
            return
        row = {
            "run": self.this.id,
            "at": _now(),
            "outcome": self.this.outcome,
            **({"cause": self.this.cause} if self.this.cause else {}),
            "rehearsal": rehearsal,
            "overrides": list(self.recipe.overrides),
            "config": self.recipe.resolved(),
            "steps": steps,
            "terms": self.terms.to_row(),
            "minutes": {kind: round(seconds / 60, 3) for kind, seconds in self.this.ran.items()},
        }
        if self.recipe.files:
            row[KEY] = file_in_history(self.recipe, self.workspace)
        write_jsonl(path, [*before, row])

    def _current(self) -> dict[str, str]:
        """The sealed steps that belong together under this recipe as it is, those after `until` among them."""
        try:
            steps = steps_of(self.recipe, self.catalog, self.workspace)
        except UserError:  # an input is missing: what was finished in this run is all that is known
            return {kind: done.folder.name for kind, done in self.this.steps.items()}
        return {step.stage.kind: step.done.folder.name for step in steps if step.done}


def _machine() -> Mapping[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    def known(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    packages = (
        "alpaca-pipe",
        "torch",
        "transformers",
        "trl",
        "peft",
        "datasets",
        "openai",
        "xllamacpp",
    )
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "arch": platform.machine(),
        "cores": os.cpu_count(),
        "versions": {name: known(name) for name in packages if known(name)},
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
