"""What is going on in a workspace: what runs now and how far it is, what is sealed, what is half done, what is open in the books.

Only reads: beside a running run it waits for nothing and holds nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.duration import spell
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json
from alpaca_pipe.data.own_files import begun_of, log_row
from alpaca_pipe.data.run_names import history
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.entries import Totals
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.machine.lease import open_leases
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.locks import holder
from alpaca_pipe.recipe.workspace import Workspace

_TAIL = 1 << 16  # bytes of log.jsonl that are read at first
_BEGAN = b'"event": "began"'  # as Screen writes it; within a sentence its quotes are escaped
_MARKS = (
    "lock.json",
    "history.jsonl",
    "begun.json",
    "log.jsonl",
)  # one of them makes a folder a recipe's


@dataclass(frozen=True)
class RunningNow:
    """What a running process last said of itself. counted: the last line of progress of its run."""

    pid: int
    run: str
    since: str
    stage: str
    sentence: str
    counted: Mapping[str, Any]


@dataclass(frozen=True)
class StepState:
    """state: sealed, running, half done or gone."""

    kind: str
    folder: str
    state: str
    finished: str = ""


@dataclass(frozen=True)
class Batch:
    """What lies with a provider."""

    at: str
    batch: str
    requests: int


@dataclass(frozen=True)
class OpenLease:
    """A machine that is billed. alive: its process is there; else the next run closes it at its last sign of life."""

    run: str
    since: str
    per_hour: int
    alive: bool


@dataclass(frozen=True)
class PackOut:
    """A pack whose results are not home. says: the share that went with it."""

    file: str
    since: str
    says: str


@dataclass(frozen=True)
class Status:
    """One recipe. budget: dollars by key, as its last run had them; money: None where there is no ledger, or it cannot be read
    (trouble: why; a run that has just begun may be making it)."""

    recipe: str
    now: RunningNow | None
    steps: tuple[StepState, ...]
    last: Mapping[str, Any]  # of the last run that ended: run, outcome, at
    money: Totals | None
    budget: Mapping[str, str]
    batches: tuple[Batch, ...] = ()
    leases: tuple[OpenLease, ...] = ()
    packs: tuple[PackOut, ...] = ()
    trouble: str = ""

    def to_row(self) -> dict[str, Any]:
        money = {**asdict(self.money), "spent": self.money.spent} if self.money else None
        return {**asdict(self), "money": money}


def recipes_of(workspace: Workspace) -> list[str]:
    """Those of which a workspace holds anything."""
    return sorted(
        {path.parent.name for mark in _MARKS for path in workspace.root.glob(f"*/{mark}")}
    )


def status(workspace: Workspace, recipe: str) -> Status:
    """Never raises for what is missing, or is being written while it is read."""
    own = workspace.of(recipe)
    pid, log = holder(own / ".lock"), list(rows_of_last_run(own / "log.jsonl"))
    began: Mapping[str, Any] = next(
        (row for row in reversed(log) if row.get("event") == "began"), {}
    )
    now = _now(int(pid), began, log) if pid else None
    ended: Mapping[str, Any] = next(reversed(history(workspace.root, recipe)), {})
    budget = began.get("budget") or workspace.lock(recipe).get("config", {}).get("budget") or {}
    try:
        (money, batches, leases, packs), trouble = _books(workspace, recipe), ""
    except UserError as error:
        (money, batches, leases, packs), trouble = (None, (), (), ()), error.what
    return Status(
        recipe,
        now,
        tuple(_steps(workspace, recipe)),
        {key: ended[key] for key in ("run", "outcome", "at") if key in ended},
        money,
        {
            key: str(cap)
            for key, cap in budget.items()
            if key in ("total", "api", "gpu") and cap is not None
        },
        batches,
        leases,
        packs,
        trouble,
    )


def _now(pid: int, began: Mapping[str, Any], log: list[Mapping[str, Any]]) -> RunningNow:
    """Only what this process wrote; another command of ours may hold the lock and say nothing."""
    if began.get("pid") != pid:
        return RunningNow(pid, "", "", "", "", {})
    own = [row for row in log if row.get("run") == began.get("run")]
    stage = next((row["stage"] for row in reversed(own) if row.get("stage")), "")
    said = next(
        (
            row["sentence"]
            for row in reversed(own)
            if row.get("event") == "said" and row.get("level") == "info"
        ),
        "",
    )
    counted: Mapping[str, Any] = next(
        (row for row in reversed(own) if row.get("event") == "progress" and row["stage"] == stage),
        {},
    )
    return RunningNow(pid, str(began["run"]), str(began["at"]), stage, said, counted)


def rows_of_last_run(path: Path) -> Iterator[Mapping[str, Any]]:
    """The last lines of a log, back to where its last run began; a line that is being written is left out."""
    raw, length = b"", _TAIL
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            while True:
                stream.seek(start := max(0, size - length))
                raw = stream.read()
                if (
                    start == 0 or _BEGAN in raw[raw.find(b"\n") :]
                ):  # the first line may be half a one
                    break
                length *= 4
    except OSError:
        return
    for line in raw.split(b"\n")[:-1]:
        if row := log_row(line):
            yield row


def _steps(workspace: Workspace, recipe: str) -> Iterator[StepState]:
    lock = workspace.lock(recipe)
    begun = _begun(workspace, recipe)
    sealed: Mapping[str, str] = lock.get("steps", {})
    for kind in dict.fromkeys([*sealed, *begun]):
        for name in dict.fromkeys(filter(None, (sealed.get(kind), begun.get(kind)))):
            folder = workspace.store.root / name
            done = workspace.store.done(folder)
            if holder(folder.with_name(f".{name}.lock")):
                yield StepState(kind, name, "running")
            elif done:
                yield StepState(kind, name, "sealed", done.finished)
            else:
                yield StepState(kind, name, "half done" if folder.is_dir() else "gone")


def _begun(workspace: Workspace, recipe: str) -> Mapping[str, str]:
    return begun_of(workspace.of(recipe))


def _books(
    workspace: Workspace, recipe: str
) -> tuple[Totals | None, tuple[Batch, ...], tuple[OpenLease, ...], tuple[PackOut, ...]]:
    if not workspace.ledger.is_file():
        return None, (), (), ()
    with Journal.open(workspace.ledger, read_only=True) as journal:
        books = BatchJobs(journal)
        batches = tuple(
            Batch(intent.at, intent.batch, books.unended(intent)) for intent in books.open(recipe)
        )
        with journal.read() as db:
            leases = tuple(
                OpenLease(
                    lease.run, _day(lease.origin), lease.terms.per_hour, _alive(lease.process)
                )
                for lease in open_leases(db)
                if lease.recipe == recipe
            )
            packs = tuple(
                PackOut(Path(share.file).name, events["lent"]["at"], share.says())
                for share, events in budget_shares.lent_shares(db, recipe)
                if not budget_shares.ENDED & set(events)
            )
        return journal.totals(recipe), batches, leases, packs


def _alive(process: str) -> bool:
    return detect.process_name(int(process.split("-")[0] or 0)) == process


def _day(moment: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="seconds")


def lines(found: Status) -> Iterator[str]:
    """For a terminal."""
    yield f"{found.recipe}  {_headline(found)}"
    if found.now and (counted := found.now.counted):
        eta = f", about {spell(counted['eta'] / 60)} to go" if counted.get("eta") else ""
        pace = f" at {counted['a_minute']:,.1f} a minute" if counted.get("a_minute") else ""
        note = f" ({counted['note']})" if counted.get("note") else ""
        yield (
            f"  progress  {counted['done']:,} of {counted['total']:,} {counted['unit']}{pace}{eta}; {counted['money']} so far in this run{note}; "
            f"as of {counted['at'][11:19]}"
        )
    for step in found.steps:
        yield f"  {step.kind:<9} {step.state:<9} {step.finished[:16].replace('T', ' ')}{'  ' if step.finished else ''}{step.folder}"
    if found.money and (found.money.attempts or found.money.spent or found.money.open):
        money = found.money
        lost = f", {shown(money.lost)} lost (sent, outcome unknown)" if money.lost else ""
        held = f", {shown(money.open)} reserved" if money.open else ""
        caps = (
            "; caps: " + ", ".join(f"{key} ${cap}" for key, cap in found.budget.items())
            if found.budget
            else ""
        )
        yield f"  money     {shown(money.settled)} settled{lost}{held}{caps}"
        if money.pending:
            whose = (
                "under way"
                if found.now or found.batches
                else "left open by a run that died: the next run counts them as lost"
            )
            yield f"  open      {money.pending:,} attempts {whose}"
    if found.trouble:
        yield f"  money     not known: {found.trouble}"
    for batch in found.batches:
        yield f"  batch     {batch.batch or 'not created yet'}, since {batch.at[:16].replace('T', ' ')}: {batch.requests:,} requests without an end"
    for lease in found.leases:
        gone = (
            ""
            if lease.alive
            else "; its process is gone, the next run closes it at its last sign of life"
        )
        since = lease.since[:16].replace("T", " ")
        paid = (
            f"rented since {since} at {shown(lease.per_hour)} an hour"
            if lease.per_hour
            else f"in use since {since}, its time is counted at $0"
        )
        yield f"  machine   {paid}{gone}"
    for pack in found.packs:
        yield f"  pack      {pack.file} is out since {pack.since[:16].replace('T', ' ')}, with {pack.says}"


def _headline(found: Status) -> str:
    if found.now is None:
        last = found.last
        return (
            f"not running; its last run {last['outcome']} ({last['run']})"
            if last
            else "not running, and never brought to an end"
        )
    now = found.now
    if not now.run:
        return f"in use by pid {now.pid}"
    return f"running {now.stage or 'its first step'} (pid {now.pid}, since {now.since[11:16]} UTC)"


def print_status(workspace: Workspace, recipe: str | None, as_json: bool) -> None:
    """Of one recipe, or of all of a workspace."""
    found = [status(workspace, name) for name in ([recipe] if recipe else recipes_of(workspace))]
    if as_json:
        echo_json(
            {
                "workspace": os.fspath(workspace.root),
                "recipes": [one.to_row() for one in found],
            }
        )
        return
    for one in found:
        echo("\n".join(lines(one)))
    if not found:
        echo(f"nothing was run in {workspace.root} yet")
