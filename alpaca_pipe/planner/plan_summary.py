"""What a recipe will take and whether its budget holds: gathered once, for the page and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from itertools import takewhile
from math import ceil
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.entries import Class, Totals
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.machine.planned_machine import Machine, machine_of
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.token_prices import CLASSES
from alpaca_pipe.models.fit import Fit
from alpaca_pipe.planner.cheapest import Cheaper, cents, cheaper
from alpaca_pipe.recipe.estimates import expected, row_of
from alpaca_pipe.recipe.locks import holder
from alpaca_pipe.recipe.missing_ledger import refuse_missing_ledger
from alpaca_pipe.recipe.permission import Permission, permission
from alpaca_pipe.recipe.plan import Step, steps_of
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.recipe.stage import Catalog, Estimate, EstimateInputs
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.past_its_end import warning
from alpaca_pipe.train.cost_estimate import Job
from alpaca_pipe.train.stage import job_of

if TYPE_CHECKING:
    from alpaca_pipe.ledger.store.journal import Journal

ALPACA_ROWS = 52_002
# "we generated ... data ... for a cost of less than $500", "fine-tuning took 3 hours on 8 80GB A100s, which costs less than
# $100 on most cloud compute providers": crfm.stanford.edu/2023/03/13/alpaca.html
STANFORD = "under $500 to text-davinci-003 and under $100 for 3 hours on 8 A100-80GB"


@dataclass(frozen=True)
class PlanLine:
    """A step: its verdict and, where it must run, what it is expected to take. holder: pid of who runs it now."""

    step: Step
    verdict: str
    why: str
    estimate: Estimate | None


@dataclass(frozen=True)
class CapCheck:
    """A cap against what is to come, nano-dollars. word: fits, may stop, will stop, or unknown where the machine has no
    price. kept: free below it, so that a run on a rented machine can store its work (gpu.grace)."""

    key: str
    cap: int
    left: int
    expected: Range
    unpriced: bool = False
    kept: int = 0

    @property
    def suffices(self) -> int:
        """The cap that would do for the P90."""
        return self.cap - self.left + ceil(self.expected.p90) + self.kept

    @property
    def word(self) -> str:
        if self.unpriced:
            return "unknown"
        return (
            "fits"
            if not self.expected.p90 or self.expected.p90 + self.kept <= self.left
            else "may stop"
            if self.expected.p50 + self.kept <= self.left
            else "will stop"
        )


@dataclass(frozen=True)
class PlanSummary:
    recipe: str
    rehearsal: bool
    lines: tuple[PlanLine, ...]
    running: str | None  # pid of the process that runs this recipe now
    machine: Machine
    fit: Fit | None
    cures: tuple[str, ...]
    held: tuple[CapCheck, ...]
    cheaper: Cheaper
    rows: int  # to be made, or judged
    scaled: Range  # nano-dollars for the whole recipe at Alpaca's number of rows
    day: date
    terms: Permission
    prices: tuple[str, ...] = ()  # whose prices the forecast rests on, and how old they are
    doubts: tuple[str, ...] = ()  # prices that may have moved, teachers that will end
    control: Estimate | None = None  # of the whole, what train.control=none would leave out
    by_batch: float = 0.0  # nano-dollars that asking by batch would save, where it is not so asked
    batch_kind: str = ""  # the teacher's kind that asks so
    waiting: bool = False  # the lease waits for the first step on the GPU (gpu.lease_start: gpu)

    @property
    def idle(self) -> float:
        """Nano-dollars of a rented GPU for the steps before any of them uses it."""
        before = takewhile(lambda line: not line.step.on_gpu, self.lines)
        return sum(line.estimate.gpu.p50 for line in before if line.estimate)

    @property
    def elsewhere(self) -> str:
        """What steps that use no GPU cost on a rented one, or that they are not counted; "" where there are none."""
        before = takewhile(lambda line: not line.step.on_gpu, self.lines)
        kinds = [line.step.stage.kind for line in before if line.estimate]
        if not kinds or not self.machine.per_hour or len(kinds) == len(self.lines):
            return ""
        until = f"`--until {kinds[-1]}`"
        if self.waiting:
            return (
                f"{' and '.join(kinds)} run on a machine without the GPU ({until}), then `alpaca-pipe pack --for train` "
                "takes the rows to it: on the GPU's machine they would be billed"
            )
        if self.idle < NANO / 100:
            return ""
        return (
            f"the machine is billed for {' and '.join(kinds)} ({cents(self.idle)}), which do not use the GPU: {until} "
            "elsewhere and gpu.lease_start=gpu save that"
        )

    @property
    def total(self) -> Estimate:
        """Of the steps that must run."""
        found = [line.estimate for line in self.lines if line.estimate]
        return Estimate(
            _sum(one.minutes for one in found),
            requests=_sum(one.requests for one in found),
            tokens_in=_sum(one.tokens_in for one in found),
            tokens_out=_sum(one.tokens_out for one in found),
            api=_sum(one.api for one in found),
            gpu=_sum(one.gpu for one in found),
        )

    def to_row(self) -> Mapping[str, Any]:
        """For programs: ranges are [P10, P50, P90], money is in nano-dollars."""

        def plain(amount: Range) -> list[float]:
            return [round(amount.p10, 4), round(amount.p50, 4), round(amount.p90, 4)]

        fit = (
            {
                "gpu": self.fit.gpu,
                "fits": self.fit.fits,
                "fits_usually": self.fit.fits_usually,
                "cures": self.cures,
                "bytes": round(self.fit.worst.total),
                "usable": round(self.fit.room),
            }
            if self.fit
            else None
        )
        total = self.total
        return {
            "recipe": self.recipe,
            "rehearsal": self.rehearsal,
            "day": str(self.day),
            "running_pid": self.running,
            "steps": [
                {
                    "stage": line.step.stage.kind,
                    "verdict": line.verdict,
                    "why": line.why,
                    "estimate": row_of(line.estimate) if line.estimate else None,
                }
                for line in self.lines
            ],
            "total": {**row_of(total), "dollars": plain((total.api + total.gpu).times(1e-9))},
            "machine": self.machine.says,
            "per_hour": self.machine.per_hour,
            "fit": fit,
            "budget": [
                {
                    "key": held.key,
                    "cap": held.cap,
                    "left": held.left,
                    "expected": plain(held.expected),
                    "word": held.word,
                }
                for held in self.held
            ],
            "cheaper": self.cheaper.to_row(),
            "rows": self.rows,
            "at_52002_rows": plain(self.scaled),
            "stanford": STANFORD,
            "terms": self.terms.to_row(),
            "control": row_of(self.control) if self.control else None,
            "by_batch_saves": round(self.by_batch),
            "prices": list(self.prices),
            "doubts": list(self.doubts),
        }


def look(
    recipe: Recipe, catalog: Catalog, workspace: Workspace, rehearsal: bool = False
) -> PlanSummary:
    """Nothing is run, sent or written. Raises UserError for what is wrong with the recipe already."""
    if not rehearsal:
        refuse_missing_ledger(workspace)
    day = today()
    steps = steps_of(recipe, catalog, workspace)
    estimates = expected(steps, recipe, workspace)
    running = holder(workspace.of(recipe.name) / ".lock")
    lines = tuple(_line(step, estimates.get(step.stage.kind), running) for step in steps)
    machine, job = machine_of(recipe.tables), _job(steps, recipe, workspace)
    fit = job.on(machine.gpu) if job and machine.gpu else None
    found = cheaper(steps, recipe, workspace, estimates, job, machine, day)
    held = tuple(held_against(recipe, workspace, estimates))
    rows, scaled = _at_alpacas_size(estimates, recipe, _spent(recipe, workspace))
    return PlanSummary(
        recipe.name,
        rehearsal,
        lines,
        running,
        machine,
        fit,
        job.cures(machine.gpu) if job and machine.gpu else (),
        held,
        found,
        rows,
        scaled,
        day,
        permission(recipe, catalog, workspace.lock(recipe.name).get("terms")),
        *_of_teachers(recipe, estimates, day),
        _control(steps, recipe, workspace, estimates),
        _by_batch(recipe, estimates),
        _batch_kind(recipe),
        bool((table := recipe.tables.get("gpu")) and table.waits()),
    )


def _control(
    steps: list[Step], recipe: Recipe, workspace: Workspace, estimates: Mapping[str, Estimate]
) -> Estimate | None:
    """What the second tune takes: the step's figures less those without it."""
    train = next((step for step in steps if step.stage.kind == "train" and not step.done), None)
    if train is None or getattr(train.config, "control", "none") == "none":
        return None
    both = estimates["train"]
    one = train.stage.estimate(
        train.config.model_copy(update={"control": "none"}),
        recipe.everything(),
        EstimateInputs(train.inputs or {}, workspace.root, recipe.name),
    )
    share = 1 - one.minutes.p50 / both.minutes.p50 if both.minutes.p50 else 0.0
    return Estimate(both.minutes.times(share), gpu=both.gpu.times(share)) if share else None


_BATCH_KINDS = {"openai_chat": "openai_batch", "anthropic_messages": "anthropic_batch"}


def _batch_kind(recipe: Recipe) -> str:
    teacher: TeacherTable | None = recipe.tables.get("teacher")
    return _BATCH_KINDS.get(teacher.kind, "") if teacher else ""


def _by_batch(recipe: Recipe, estimates: Mapping[str, Estimate]) -> float:
    """What the batch price would save of the teacher's tokens, where the book has one and the teacher is asked online."""
    teacher: TeacherTable | None = recipe.tables.get("teacher")
    asked = estimates.get("generate")
    if teacher is None or asked is None or not _batch_kind(recipe) or teacher.price:
        return 0.0
    try:
        online, batch = (teacher.priced(mode).per_million for mode in ("online", "batch"))
    except UserError:
        return 0.0
    saved_in, saved_out = (
        float(online[side] - batch[side]) * 1000 for side in CLASSES if side in _COUNTED
    )
    return saved_in * asked.tokens_in.p50 + saved_out * asked.tokens_out.p50


_COUNTED = ("uncached_in", "visible_out")


def _of_teachers(
    recipe: Recipe, estimates: Mapping[str, Estimate], day: date
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of everybody who is still to be asked: the price, and what is doubtful about it or about them."""
    asked = [teacher for kind, teacher in teachers_of(recipe) if kind in estimates]
    prices = [teacher.priced() for teacher in asked]
    doubts = [*(warning(teacher) for teacher in asked), *(price.doubt(day) for price in prices)]
    return (
        tuple(dict.fromkeys(price.said(day) for price in prices if not price.free)),
        tuple(dict.fromkeys(filter(None, doubts))),
    )


def teachers_of(recipe: Recipe) -> Iterator[tuple[str, TeacherTable]]:
    """Whom each stage asks: generate the recipe's teacher, curate and evaluate their judges."""
    shared: TeacherTable | None = recipe.tables.get("teacher")
    grade = getattr(recipe.stages.get("curate"), "grade", None)
    if shared is not None and "generate" in recipe.stages:
        yield "generate", shared
    if grade is not None:
        yield "curate", grade.asked_of(shared)
    judge = getattr(recipe.stages.get("evaluate"), "judge", None)
    if judge is not None:
        yield "evaluate", judge.check()


def _line(step: Step, estimate: Estimate | None, running: str | None) -> PlanLine:
    pid = (
        holder(step.folder.with_name(f".{step.folder.name}.lock"))
        if running and step.folder
        else None
    )
    if pid:
        return PlanLine(step, "running", f"running now (pid {pid})", estimate)
    if running and step.verdict == "resume":
        return PlanLine(step, "run", f"the run of pid {running} will come to it", estimate)
    return PlanLine(step, step.verdict, step.why, estimate)


def _job(steps: list[Step], recipe: Recipe, workspace: Workspace) -> Job | None:
    """The tune, where one must still be made."""
    train = next((step for step in steps if step.stage.kind == "train" and not step.done), None)
    config = getattr(train, "config", None)
    if train is None or getattr(config, "hosted", None) or getattr(config, "source", None):
        return None
    return job_of(
        train.config,  # type: ignore[arg-type]
        recipe.everything(),
        EstimateInputs(train.inputs or {}, workspace.root, recipe.name),
    )


def held_against(
    recipe: Recipe, workspace: Workspace, estimates: Mapping[str, Estimate]
) -> Iterator[CapCheck]:
    """Each cap, once, against what all steps to come are expected to spend under it."""
    caps = workspace.caps(recipe)
    machine = machine_of(recipe.tables)
    unpriced = machine.unpriced
    grace = (recipe.tables.get("gpu") or GpuTable()).grace
    wanted: dict[Class | None, Range] = {
        "api": _sum(one.api for one in estimates.values()),
        "gpu": _sum(one.gpu for one in estimates.values()),
    }
    rents = bool(wanted["gpu"].p90)
    energy = _sum(machine.energy(one.minutes) for one in estimates.values() if one.gpu.p90)
    wanted[None] = wanted["api"] + wanted["gpu"] + energy
    seen = {cap.key: cap for class_ in ("api", "gpu") for cap in caps.over(class_)}  # type: ignore[arg-type]
    if not seen or not any(amount.p90 for amount in wanted.values()):
        return
    with _books(workspace) as books:
        for cap in seen.values():
            recipes = None if cap.everywhere else recipe.name
            spent = books.totals(recipes, class_=cap.class_) if books else Totals()
            yield CapCheck(
                cap.key,
                cap.nanodollars,
                cap.left(spent),
                wanted[cap.class_],
                unpriced and cap.class_ != "api",
                machine.to_stop_in(grace, cap.class_) if rents and cap.class_ != "api" else 0,
            )


def _spent(recipe: Recipe, workspace: Workspace) -> int:
    with _books(workspace) as books:
        return books.totals(recipe.name).spent if books else 0


def _books(workspace: Workspace) -> AbstractContextManager[Journal | None]:
    """The ledger, to be read; None where nothing was run yet, and then SQLite is not loaded either."""
    if not workspace.ledger.exists():
        return nullcontext()
    from alpaca_pipe.ledger.store.journal import Journal

    return Journal.open(workspace.ledger, read_only=True)


def _at_alpacas_size(
    estimates: Mapping[str, Estimate], recipe: Recipe, spent: int
) -> tuple[int, Range]:
    """Rows that are made, and the money for 52,002 of them, spent or to come: straight, though yield falls as the pool
    grows."""
    rows = getattr(recipe.stages.get("generate"), "count", 0)
    money = _sum(one.api + one.gpu for one in estimates.values()) + Range.exactly(spent)
    return rows, money.times(ALPACA_ROWS / rows) if rows and "generate" in estimates else NOTHING


def _sum(parts: Iterator[Range]) -> Range:
    whole = NOTHING
    for part in parts:
        whole += part
    return whole
