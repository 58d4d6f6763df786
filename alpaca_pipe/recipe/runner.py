"""Runs what must run: one step after the other, each sealed before the next begins, resumable at any moment."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.screen import nobody_reads
from alpaca_pipe.ledger.budget import NEARLY_USED, BudgetReached
from alpaca_pipe.ledger.machine import meter
from alpaca_pipe.ledger.money import NANO, shown
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.dotenv import key_names
from alpaca_pipe.recipe.engine import Cause, Engine, Run
from alpaca_pipe.recipe.hook_calls import HookCalls
from alpaca_pipe.recipe.hooks import Hooks
from alpaca_pipe.recipe.how_it_went import STOPPED_BY, how_it_went, rows_of, verdict_of
from alpaca_pipe.recipe.interrupts import asked_to_stop, plain_disk_errors
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.missing_ledger import refuse_missing_ledger
from alpaca_pipe.recipe.permission import permission
from alpaca_pipe.recipe.progress import Level
from alpaca_pipe.recipe.same_name import another_of_that_name
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console


def run(
    recipe: Recipe,
    catalog: Catalog,
    workspace: Workspace,
    console: Console,
    *,
    until: str | None = None,
    only: str | None = None,
    rehearsal: bool = False,
    spend: bool | None = None,
    fresh: bool = False,
    accept_terms: bool = False,
    new_ledger: bool = False,
    verbose: bool = False,
    stop: threading.Event | None = None,
    listener: Callable[[Mapping[str, Any]], None] | None = None,
) -> Run:
    """Runs every step that must run, up to `until`, or `only` one. Raises UserError; Stopped after Ctrl-C.

    spend: whether new requests may be sent; None: all but those that only fill up what a changed filter dropped.  fresh: no
    reply is taken over from a seat of an earlier run; the same question is still answered from the store.  accept_terms: the user
    says to have read and accepted what binds the models and data that the recipe brings in.  new_ledger: one
    that is gone is lost for good, though paid steps lie beside it.  verbose: says what becomes of
    single requests and rows.  stop: asks it to stop, as Ctrl-C does.  listener: hears each line of log.jsonl.
    """
    _check_named(recipe, until, only)
    own = workspace.of(recipe.name)
    if not (rehearsal or new_ledger):
        refuse_missing_ledger(workspace)
    with (
        plain_disk_errors(workspace.root),
        asked_to_stop(stop) as stopping,  # who sees the lock can ask its owner to stop
        held(own / ".lock", str(own)),
        Journal.open(workspace.ledger) as journal,
    ):
        found = _from_dead_runs(journal, workspace, recipe.name)
        this = Run(id=f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{secrets.token_hex(2)}")
        terms = permission(recipe, catalog, workspace.lock(recipe.name).get("terms"), accept_terms)
        terms.check()
        engine = Engine(
            recipe,
            catalog,
            workspace,
            journal,
            console,
            stopping,
            this,
            spend,
            fresh,
            terms,
            verbose,
        )
        if listener:
            engine.screen.listeners.append(listener)
        engine.screen.write("began", pid=os.getpid(), budget=recipe.resolved().get("budget"))
        twin = another_of_that_name(recipe, workspace)
        engine.notices("recipe", (*((twin,) if twin else ()), *recipe.left_out))
        engine.notices("terms", terms.warnings())
        engine.notices("ledger", (*_of_the_file_system(journal), *found))
        _to_its_end(engine, until, only, rehearsal, _hooks(engine, rehearsal))
    return this


def _check_named(recipe: Recipe, until: str | None, only: str | None) -> None:
    if until and only:
        raise UserError("both --until and --only are given", "take one of them")
    for kind in filter(None, (until, only)):
        if kind not in recipe.stages:
            raise UserError(
                f"{recipe.name}: there is no stage '{kind}'", f"it has: {', '.join(recipe.stages)}"
            )


def _hooks(engine: Engine, rehearsal: bool) -> HookCalls:
    """Those of the recipe, which hear of a budget that is nearly used from now on."""
    this, recipe, began = engine.this, engine.recipe.name, time.monotonic()

    def facts() -> dict[str, Any]:
        spent = engine.journal.totals(recipe=recipe, run=this.id).settled
        return {
            "recipe": recipe,
            "run": this.id,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "outcome": this.outcome,
            "cause": this.cause,
            "dollars": spent / NANO,
            "dollars_of_all_runs": engine.journal.totals(recipe=recipe).settled / NANO,
            "rows": rows_of(this.steps),
            "verdict": verdict_of(this.steps),
            "report": str(engine.workspace.of(recipe) / "reports" / f"{this.id}.html"),
            "minutes": round((time.monotonic() - began) / 60, 2),
            "rehearsal": rehearsal,
        }

    calls = HookCalls(
        engine.recipe.tables.get("on") or Hooks(),
        facts,
        engine.screen.say,
        keys=frozenset(key_names(engine.recipe.everything())),
    )

    def hear(row: Mapping[str, Any]) -> None:
        if (sentence := str(row.get("sentence", ""))).startswith(NEARLY_USED):
            calls.budget_nearly_used(sentence)

    engine.screen.listeners.append(hear)
    engine.notices(
        "on",
        [
            f"on: the variable {name} holds no https:// address, so that hook is not called"
            for name in calls.hooks.unset
        ],
    )
    return calls


def _to_its_end(
    engine: Engine, until: str | None, only: str | None, rehearsal: bool, hooks: HookCalls
) -> None:
    """However it ends, the machine's bill is closed, the run is in the history and in the log, and who is to know is told."""
    this, why = engine.this, ""
    try:
        with engine.screen.listening():
            engine.road(until, only)
        why = how_it_went(this.steps)
    except (Stopped, KeyboardInterrupt):
        refused = engine.rent.refused
        this.outcome, this.cause = "stopped", _who_stopped(refused)
        why = str(refused or STOPPED_BY[this.cause])
        raise refused or Stopped from None
    except BudgetReached as error:
        this.outcome, this.cause, why = "stopped", "budget", str(error)
        raise
    except BaseException as error:
        this.outcome, this.cause, why = "failed", "error", str(error) or type(error).__name__
        raise
    finally:
        engine.screen.end()
        engine.rent.close()
        engine.remember(rehearsal)
        if this.outcome != "done":
            _tell_what_was_spent(engine, rehearsal)
        level: Level = "error" if this.outcome == "failed" else "info"
        engine.screen.write(this.outcome, level, sentence=why, cause=this.cause)
        hooks.ended(this.outcome, why)


def _tell_what_was_spent(engine: Engine, rehearsal: bool) -> None:
    """A run that comes to its end has its closing lines; one that does not says at least its money."""
    found = engine.journal.totals(recipe=engine.recipe.name, run=engine.this.id)
    if found.spent:
        lost = f", {shown(found.lost)} lost (sent, outcome unknown)" if found.lost else ""
        paper = " simulated (a rehearsal: nothing was paid)" if rehearsal else ""
        engine.screen.say(
            f"money so far: {shown(found.settled)} in this run{paper}{lost}; what it bought is kept"
        )


def _who_stopped(refused: UserError | None) -> Cause:
    if refused:
        return "budget" if isinstance(refused, BudgetReached) else "error"
    return "output" if nobody_reads() else "person"


def _of_the_file_system(journal: Journal) -> Iterator[str]:
    if journal.mode == "delete":
        yield (
            "this file system cannot carry SQLite's write-ahead log: the ledger keeps a rollback journal, "
            "which is as safe and slower"
        )


def _from_dead_runs(journal: Journal, workspace: Workspace, recipe: str) -> list[str]:
    """Closes in the ledger what earlier runs left open when they died, and says so."""
    lost, cut = journal.recover(recipe), meter.recover(journal, recipe)
    others = _recover_others(journal, workspace, recipe)
    said = []
    if lost:
        said.append(f"{lost} requests were in flight when an earlier run died; they count as lost")
    if others:
        said.append(
            f"{sum(others.values())} requests of other recipes were in flight when their runs died "
            f"({', '.join(others)}); they count as lost"
        )
    if cut:
        said.append("an earlier run died: its machine time is closed at its last sign of life")
    return said


def _recover_others(journal: Journal, workspace: Workspace, own: str) -> dict[str, int]:
    """How many requests of other recipes' dead runs are lost: a recipe that is never run again would hold its reservations
    under the workspace's caps for ever, and nothing could reconcile them."""
    lost: dict[str, int] = {}
    for name in journal.unfinished():
        if name != own:
            with (
                contextlib.suppress(UserError, OSError),
                held(workspace.of(name) / ".lock", name),
            ):  # else it is running
                lost[name] = journal.recover(name)
    return {name: count for name, count in lost.items() if count}
