"""What a stage is to the engine, and what the engine lays on a stage's bench."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.ledger.budget import Caps

if TYPE_CHECKING:
    from alpaca_pipe.ledger.store.journal import Journal


class Progress(Protocol):
    """How a stage says where it is; the engine adds rate, ETA and money."""

    def start(self, total: int, unit: str, done: int = 0) -> None:
        """Begins a count of `total` units; `done` are there from an earlier run and do not enter the rate."""

    def at(self, done: int, note: str = "") -> None:
        """`done` units are finished by now, in all."""

    def say(self, sentence: str) -> None:
        """A sentence that stays on the screen and in log.jsonl."""


@dataclass(frozen=True)
class StageContext:
    """What a running stage has before it. Whatever it leaves in `folder` resumes, and is sealed when it returns."""

    folder: (
        Path  # the step's own; files already there are from an interrupted run of the same identity
    )
    inputs: Mapping[str, Path]  # "curate/train.jsonl" -> file or folder inside a sealed step
    tables: Mapping[str, Any]  # the shared tables named in `Stage.uses`
    seed: int
    journal: Journal
    recipe: str
    run: str  # id of this run, for the ledger
    progress: Progress
    stopping: Callable[
        [], bool
    ]  # True once the user asked to stop: finish what is in flight, raise Stopped
    caps: Caps = field(default_factory=Caps)  # of the recipe and of the workspace
    phase: Callable[[str], None] = lambda name: (
        None
    )  # tells the meter of a rented machine: load, train, save ...
    before: Path | None = None  # the recipe's last sealed step of this kind
    begun: Path | None = None  # its last one that was begun, sealed or not
    spend: bool | None = None  # whether new requests may be sent; None: as the stage has it
    fresh: bool = False  # nothing is taken over from earlier steps
    own: Path | None = None  # the recipe's folder, for what is no result: curves of a tracker
    per_hour: int = 0  # nano-dollars of the machine that is billed while the step works
    terms: Mapping[str, Any] = field(
        default_factory=dict
    )  # what the recipe brings in, and what was accepted: permission.py

    def asking(self, stage: str, log: str) -> dict[str, Any]:
        """By whom and for what a teacher is asked: the arguments of `connect`. log: a file of its server's, in `scratch`."""
        return {
            "journal": self.journal,
            "caps": self.caps,
            "recipe": self.recipe,
            "run": self.run,
            "stage": stage,
            "log": self.scratch / log,
            "stopping": self.stopping,
            "say": self.progress.say,
        }

    @property
    def scratch(self) -> Path:
        """Kept between interrupted runs, removed before sealing (checkpoints and the like)."""
        path = self.folder / ".scratch"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def stop_here(self) -> None:
        """Raises Stopped when the user asked to stop; call it where everything so far is stored."""
        if self.stopping():
            raise Stopped


@dataclass(frozen=True)
class EstimateInputs:
    """What a stage may look at before it runs, to say what it will take."""

    inputs: Mapping[str, Path] = field(
        default_factory=dict
    )  # of the files that it reads, those that are sealed already
    workspace: Path | None = (
        None  # whose ledger and store hold what earlier runs took; None where there is none
    )
    recipe: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a step is expected to take, before it runs; `estimate` raises UserError for what is wrong already."""

    minutes: Range
    says: str = ""  # one line: what it will do
    rests_on: str = ""  # one line: what the figures rest on
    notes: tuple[str, ...] = ()  # what is doubtful or goes wrong if nothing is done: always said
    requests: Range = NOTHING
    tokens_in: Range = NOTHING
    tokens_out: Range = NOTHING
    api: Range = NOTHING  # nano-dollars to a teacher
    gpu: Range = NOTHING  # nano-dollars for the machine
    rows: Range = NOTHING  # that it makes, where their number is not known before


@dataclass(frozen=True)
class Outcome:
    """What a stage answers: figures for the report and the closing lines, plain JSON."""

    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Stage:
    """A verb. `reads` names files of earlier stages ("curate/train.jsonl"; a final "?" makes it optional);
    `uses` names shared tables ("teacher", "base?") or "seed". Raise `version` when the output changes."""

    kind: str
    version: int
    config: type[Table]
    run: Callable[[Any, StageContext], Outcome]
    estimate: Callable[
        [Any, Mapping[str, Any], EstimateInputs], Estimate
    ]  # (its config, all tables of the recipe by name, ...)
    reads: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    on_gpu: bool = False  # it works on the GPU: a run that has it to do is billed for the machine
    # (its config, all tables, a hearer of sentences): looks closely at what it will need, before an earlier step is paid for
    prove: Callable[[Any, Mapping[str, Any], Callable[[str], None]], None] | None = None


class _StageByName:
    """Becomes, attribute by attribute, the stage that it stands for; its kind is known before."""

    def __init__(self, kind: str, module: str) -> None:
        self.kind, self._module = kind, module

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self._module).STAGE, name)
        setattr(self, name, found)
        return found


def stage_of(module: str) -> Stage:
    """The `STAGE` of `alpaca_pipe.KIND.stage`, which is imported when more than its kind is asked: a recipe waits for no stage that it
    does not name."""
    return cast("Stage", _StageByName(module.split(".")[-2], module))


def used_by(stage: Stage, config: Table) -> tuple[str, ...]:
    """The names of the shared tables that a step uses, and "seed", as it has them: without "?", each once."""
    return tuple(dict.fromkeys(name.rstrip("?") for name in (*stage.uses, *config.shares())))


@dataclass(frozen=True)
class Catalog:
    """The table of contents that the engine is handed: stages in the order of the road, and the shared tables."""

    stages: tuple[Stage, ...]
    tables: Mapping[str, Any] = field(
        default_factory=dict
    )  # name -> Table type, or a union of them

    def stage(self, kind: str) -> Stage:
        return next(stage for stage in self.stages if stage.kind == kind)
