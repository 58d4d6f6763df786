"""The Python API: `from alpaca_pipe import plan, run, load_examples, render`. The commands go through the same functions."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from alpaca_pipe.core.errors import Stopped, UserError, UserErrors
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import read_jsonl, read_jsonl_so_far
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.core.screen import new_console

if TYPE_CHECKING:
    from rich.console import Console
    from transformers import PreTrainedTokenizerBase

    from alpaca_pipe.models.loss_mask import Encoded
    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.recipe.stage import Estimate
    from alpaca_pipe.recipe.workspace import Workspace

__all__ = [
    "Example",
    "Plan",
    "PlannedStep",
    "Range",
    "Rendered",
    "Result",
    "RunProgress",
    "Stopped",
    "UserError",
    "load_examples",
    "plan",
    "plan_async",
    "render",
    "run",
    "run_async",
]
Overrides = Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True)
class PlannedStep:
    """A stage: whether it must run, why, and what it will take (nothing where it is up to date)."""

    stage: str
    verdict: Literal["up to date", "run", "resume", "running"]
    why: str
    dollars: Range
    minutes: Range
    requests: Range
    tokens_in: Range
    tokens_out: Range


@dataclass(frozen=True)
class Plan:
    """What a run would do and take. Each Range holds p10, p50 and p90; those of the plan are for all steps together.

    budget: by cap ("budget.api"), "fits", "may stop" or "will stop". fits_gpu: None where no GPU is known or no tune is due.
    """

    recipe: str
    steps: tuple[PlannedStep, ...]
    dollars: Range
    minutes: Range
    requests: Range
    tokens_in: Range
    tokens_out: Range
    budget: Mapping[str, str]
    fits_gpu: bool | None


@dataclass(frozen=True)
class RunProgress:
    """Where a run is. sentence: what was said, else "". Of a count: done of total, in units, so many a minute, seconds left as
    far as they are known, and the money of the run so far as the screen shows it."""

    stage: str
    sentence: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    a_minute: float = 0.0
    eta: int | None = None
    money: str = ""


Hearer = Callable[[RunProgress], object]


class RunOptions(TypedDict, total=False):
    """The options of `run`, by keyword."""

    runs: str | Path
    until: str | None
    only: str | None
    rehearse: bool
    spend: bool | None
    fresh: bool
    accept_terms: bool
    new_ledger: bool
    show: bool
    progress: Hearer | None


@dataclass(frozen=True)
class Result:
    """What a run left. folders, summaries: by stage, of the steps that are finished; ran: those that ran this time.

    dollars: settled by this run, exactly. report: the page, None where the extra `report` is not installed. closing: the
    lines that the command ends with.
    """

    recipe: str
    run: str
    folders: Mapping[str, Path]
    summaries: Mapping[str, Mapping[str, Any]]
    ran: tuple[str, ...]
    dollars: Decimal
    report: Path | None
    closing: tuple[str, ...]

    @property
    def examples(self) -> Path | None:
        """The cleaned rows, or, where nothing curates, the accepted ones: for `load_examples`."""
        return next(
            (
                self.folders[stage] / "examples.jsonl"
                for stage in ("curate", "generate")
                if stage in self.folders
            ),
            None,
        )

    @property
    def model(self) -> Path | None:
        """The merged checkpoint, for transformers' `from_pretrained`."""
        folder = self.folders["export"] / "merged" if "export" in self.folders else None
        return folder if folder and folder.is_dir() else None


@dataclass(frozen=True)
class Rendered:
    """A row as the model sees it. mask[i] is True where ids[i] is learned: the answers, each with its end token.

    earlier: of a conversation whose history is tokenised otherwise when it is read again, the sequences that learn its
    earlier answers.
    """

    ids: tuple[int, ...]
    mask: tuple[bool, ...]
    text: str
    earlier: tuple[Rendered, ...] = ()

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """What stands before the last answer: the prompt to generate from."""
        last = max((n for n, learned in enumerate(self.mask) if not learned), default=-1)
        return self.ids[: last + 1]


def plan(
    recipe: str | Path,
    overrides: Overrides = (),
    *,
    runs: str | Path = "runs",
    rehearse: bool = False,
) -> Plan:
    """What `run` would do with a recipe (a file, or the name of a shipped one) and what that will take.

    overrides: `{"generate.count": 100}` or `["generate.count=100"]`. Nothing is run, sent or written. Raises UserError with
    all that is wrong with the recipe.
    """
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.planner.plan_summary import look

    loaded, workspace = opened(str(recipe), overrides, Path(runs), rehearse)
    if loaded.sweep:
        return _plan_points(loaded, workspace, Path(runs), rehearse)
    found = look(loaded, CATALOG, workspace, rehearse)
    steps = tuple(
        PlannedStep(
            line.step.stage.kind,
            line.verdict,  # type: ignore[arg-type]
            line.why,
            *(_figures(line.estimate) if line.estimate else (NOTHING,) * 5),
        )
        for line in found.lines
    )
    return Plan(
        found.recipe,
        steps,
        *_figures(found.total),
        {held.key: held.word for held in found.held},
        found.fit.fits if found.fit else None,
    )


def _plan_points(loaded: Recipe, workspace: Workspace, runs: Path, rehearse: bool) -> Plan:
    """Of a recipe with a table `sweep:`: the steps that are to be made, each once, and for which point first."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.planner.plan_summary import look
    from alpaca_pipe.sweep.sweep_plan import plan_sweep, point_recipes

    points = point_recipes(loaded, CATALOG, runs, rehearse)
    found = plan_sweep(loaded, points, CATALOG, workspace)
    fits = [look(one.recipe, CATALOG, workspace, rehearse).fit for one in points]
    steps = tuple(
        PlannedStep(kind, "run", f"for {one.point.label}", *_figures(estimate))
        for one in found.points
        for kind, estimate in one.new.items()
    )
    return Plan(
        found.recipe,
        steps,
        sum((step.dollars for step in steps), NOTHING),
        sum((step.minutes for step in steps), NOTHING),
        sum((step.requests for step in steps), NOTHING),
        sum((step.tokens_in for step in steps), NOTHING),
        sum((step.tokens_out for step in steps), NOTHING),
        {held.key: held.word for held in found.held},
        all(one.fits for one in fits if one) if any(fits) else None,
    )


def run(
    recipe: str | Path,
    overrides: Overrides = (),
    *,
    runs: str | Path = "runs",
    until: str | None = None,
    only: str | None = None,
    rehearse: bool = False,
    spend: bool | None = None,
    fresh: bool = False,
    accept_terms: bool = False,
    new_ledger: bool = False,
    show: bool = False,
    progress: Hearer | None = None,
) -> Result:
    """Runs what must run; what is up to date is left alone. The same call goes on after a kill, and buys nothing twice.

    until, only: a stage. rehearse: every stage in minutes for $0, in a folder of its own. spend, fresh: as `--no-spend`
    (False) and `--fresh`. accept_terms: as `--i-accept-terms`. new_ledger: as `--new-ledger`. show: progress on standard
    output, as the command shows it. progress: is called with a RunProgress every few seconds and at each sentence; in a notebook
    or another running event loop, from the thread in which the work then is. Raises UserError for what you can mend, a reached
    budget among it, and Stopped after Ctrl-C.
    """
    from alpaca_pipe.core.own_thread import loop_is_running, waited_for

    stopping = threading.Event()

    def work() -> Result:
        return _run(
            recipe,
            overrides,
            stopping,
            runs=runs,
            until=until,
            only=only,
            rehearse=rehearse,
            spend=spend,
            fresh=fresh,
            accept_terms=accept_terms,
            new_ledger=new_ledger,
            show=show,
            progress=progress,
        )

    return waited_for(work, stopping) if loop_is_running() else work()


async def run_async(
    recipe: str | Path, overrides: Overrides = (), **options: Unpack[RunOptions]
) -> Result:
    """`run`, while the event loop goes on. A task that is cancelled is over when what is in flight is finished and kept."""
    from alpaca_pipe.core.own_thread import awaited

    stopping = threading.Event()
    return await awaited(lambda: _run(recipe, overrides, stopping, **options), stopping)


async def plan_async(
    recipe: str | Path,
    overrides: Overrides = (),
    *,
    runs: str | Path = "runs",
    rehearse: bool = False,
) -> Plan:
    """`plan`, while the event loop goes on."""
    from alpaca_pipe.core.own_thread import awaited

    return await awaited(
        lambda: plan(recipe, overrides, runs=runs, rehearse=rehearse), threading.Event()
    )


def _run(
    recipe: str | Path,
    overrides: Overrides,
    stopping: threading.Event,
    **options: Unpack[RunOptions],
) -> Result:
    told, given = options.get("progress"), options.get("rehearse", False)
    loaded, workspace = opened(str(recipe), overrides, Path(options.get("runs", "runs")), given)
    console = new_console(soft_wrap=True, quiet=not options.get("show", False))
    done = carry_out(
        loaded,
        workspace,
        console,
        until=options.get("until"),
        only=options.get("only"),
        rehearse=given,
        spend=options.get("spend"),
        fresh=options.get("fresh", False),
        accept_terms=options.get("accept_terms", False),
        new_ledger=options.get("new_ledger", False),
        stopping=stopping,
        listener=None if told is None else lambda row: _tell(row, told),
    )
    for line in done.closing:
        console.print(line, highlight=False)
    return done


def _tell(row: Mapping[str, Any], told: Hearer) -> None:
    """A line of the log, as a RunProgress."""
    if row["event"] == "said":
        told(RunProgress(row["stage"], row["sentence"]))
    elif row["event"] == "progress":
        counted = {key: row[key] for key in ("done", "total", "unit", "a_minute", "eta", "money")}
        told(RunProgress(row["stage"], **counted))


def load_examples(path: str | Path) -> list[Example]:
    """All rows of a file or a folder: our examples.jsonl with its ids and origins, or any form that `curate` reads (JSON,
    JSONL, CSV, Parquet, ShareGPT, messages ...). Raises UserErrors that names each row which cannot be read."""
    from alpaca_pipe.data.reading import read

    source = Path(path)
    if not source.exists():
        raise UserError(
            f"{source}: no such file or folder", "name a file of rows, or a folder of such files"
        )
    if source.suffix == ".jsonl" and _ours(source):
        return [Example.from_row(row) for row in read_jsonl(source)]
    return list(read(source))


def render(
    example: Example,
    tokenizer: str | Path | PreTrainedTokenizerBase,
    template: str | Path | None = None,
) -> Rendered:
    """The row as training encodes it. tokenizer: a checkpoint's folder, a hub id, or a loaded tokenizer of transformers.

    template: alpaca, alpaca-2023, chatml, llama3, vicuna, chat, or a file of your own (mine.jinja); None is the one that a folder of ours was trained with, else alpaca. An example
    with an empty output renders as the prompt and the end-of-text token; see `prompt_ids`.
    """
    from alpaca_pipe.core.did_you_mean import did_you_mean
    from alpaca_pipe.models.loading import load_tokenizer
    from alpaca_pipe.models.loss_mask import Encoder
    from alpaca_pipe.models.own_template import ENDINGS, template_of
    from alpaca_pipe.models.saved_template import saved_encoder
    from alpaca_pipe.models.templates import TEMPLATES
    from alpaca_pipe.weights.base import Checkpoint

    if isinstance(template, str) and template.endswith(ENDINGS):
        template = Path(template)
    if isinstance(template, str) and template not in TEMPLATES:
        raise UserError(f"there is no template '{template}'", did_you_mean(template, TEMPLATES))
    named = isinstance(tokenizer, str | Path)
    words = (
        load_tokenizer(Checkpoint(str(tokenizer)))
        if isinstance(tokenizer, str | Path)
        else tokenizer
    )
    if template is None and named and (Path(str(tokenizer)) / "template.json").is_file():
        encoder = saved_encoder(words, Path(str(tokenizer)))
    else:
        encoder = Encoder(words, template_of(template or "alpaca"))
    encoded = next(encoder.encode([example], sys.maxsize))
    if isinstance(encoded, Rejected):
        raise UserError(
            f"row {example.id} is not trained on: {encoded.reason}", "use another template"
        )

    def rendered(one: Encoded, earlier: tuple[Rendered, ...] = ()) -> Rendered:
        text = words.decode(list(one.ids), clean_up_tokenization_spaces=False)
        return Rendered(one.ids, one.mask, str(text), earlier)

    *before, last = encoded
    return rendered(last, tuple(map(rendered, before)))


def carry_out(
    recipe: Recipe,
    workspace: Workspace,
    console: Console,
    *,
    until: str | None,
    only: str | None,
    rehearse: bool,
    spend: bool | None,
    fresh: bool,
    accept_terms: bool = False,
    new_ledger: bool = False,
    verbose: bool = False,
    stopping: threading.Event | None = None,
    listener: Callable[[Mapping[str, Any]], None] | None = None,
) -> Result:
    """`run`, of a recipe that is open already: what the command and the function share."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.ledger.money import NANO
    from alpaca_pipe.ledger.store.journal import Journal
    from alpaca_pipe.recipe.runner import run as run_recipe
    from alpaca_pipe.report.summary import close

    if recipe.sweep:
        return _carry_out_points(
            recipe,
            workspace,
            console,
            rehearse,
            lambda one: carry_out(
                one,
                workspace,
                console,
                until=until,
                only=only,
                rehearse=rehearse,
                spend=spend,
                fresh=fresh,
                accept_terms=accept_terms,
                new_ledger=new_ledger,
                verbose=verbose,
                stopping=stopping,
                listener=listener,
            ),
        )
    done = run_recipe(
        recipe,
        CATALOG,
        workspace,
        console,
        until=until,
        only=only,
        rehearsal=rehearse,
        spend=spend,
        fresh=fresh,
        accept_terms=accept_terms,
        new_ledger=new_ledger,
        verbose=verbose,
        stop=stopping,
        listener=listener,
    )
    closing = tuple(close(workspace.root, recipe.name))  # writes the report
    with Journal.open(workspace.ledger, read_only=True) as journal:
        settled = journal.totals(recipe=recipe.name, run=done.id).settled
    report = workspace.of(recipe.name) / "report.html"
    return Result(
        recipe.name,
        done.id,
        {kind: step.folder for kind, step in done.steps.items()},
        {kind: step.summary for kind, step in done.steps.items()},
        tuple(done.ran),
        Decimal(settled) / NANO,
        report if report.is_file() else None,
        closing,
    )


def _carry_out_points(
    recipe: Recipe,
    workspace: Workspace,
    console: Console,
    rehearse: bool,
    one: Callable[[Recipe], Result],
) -> Result:
    """Of a recipe with a table `sweep:`; see sweep/sweep_run.py."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.sweep.sweep_plan import point_recipes
    from alpaca_pipe.sweep.sweep_run import run_sweep

    runs = workspace.root.parent if rehearse else workspace.root
    points = point_recipes(recipe, CATALOG, runs, rehearse)
    found: Result = run_sweep(recipe, points, CATALOG, workspace, console, one)
    return found


def opened(
    name: str, overrides: Overrides, runs: Path, rehearse: bool, anew: bool = False
) -> tuple[Recipe, Workspace]:
    """A recipe and the workspace that it runs in; of a rehearsal, both are those of the rehearsal. anew: though it was run in the
    workspace beside its file. Raises UserError."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.core.system import check_system
    from alpaca_pipe.ledger.pricing.user_prices import use_packed
    from alpaca_pipe.recipe.dotenv import lend_keys
    from alpaca_pipe.recipe.extends import find_recipe
    from alpaca_pipe.recipe.other_workspace import refuse_other_workspace
    from alpaca_pipe.recipe.schema import load_recipe
    from alpaca_pipe.recipe.workspace import Workspace

    check_system()
    pairs = (
        [f"{key}={json.dumps(value, default=str)}" for key, value in overrides.items()]
        if isinstance(overrides, Mapping)
        else list(overrides)
    )
    try:
        loaded = load_recipe(name, CATALOG, pairs, runs)
    except UserErrors:
        from alpaca_pipe.start.other_tools.foreign_recipe import refuse_foreign

        refuse_foreign(find_recipe(name))
        raise
    lend_keys(loaded)
    use_packed(Workspace(runs).packed_prices(loaded.name))
    there = next(
        folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists()
    )
    if not there.is_dir():
        raise UserError(f"{there} is a file, not a folder", "choose another workspace with --runs")
    if not (rehearse or anew):
        refuse_other_workspace(loaded, runs)
    return (
        (loaded.rehearsed(), Workspace(runs).rehearsal()) if rehearse else (loaded, Workspace(runs))
    )


def _figures(estimate: Estimate) -> tuple[Range, Range, Range, Range, Range]:
    return (
        (estimate.api + estimate.gpu).times(1e-9),
        estimate.minutes,
        estimate.requests,
        estimate.tokens_in,
        estimate.tokens_out,
    )


def _ours(path: Path) -> bool:
    first = next(read_jsonl_so_far(path), None)
    return (
        isinstance(first, dict)
        and isinstance(first.get("origin"), dict)
        and {"id", "instruction", "output"} <= first.keys()
    )


def push_model(
    loaded: Recipe,
    workspace: Workspace,
    name: str,
    accepted: Collection[str],
    private: bool,
    dry_run: bool = False,
) -> str:
    """The newest exported model of a recipe to the hub, as `owner/name`; answers its address. Gated as a dataset is: the
    teachers of its rows must be among `accepted`. dry_run: answers what would be sent, and asks no network. Raises UserError."""
    from tempfile import TemporaryDirectory

    from alpaca_pipe.core.files import digest_of
    from alpaca_pipe.data.hub import push_to_hub
    from alpaca_pipe.export.model_folder import gather
    from alpaca_pipe.ledger.statements.card_facts import card_facts
    from alpaca_pipe.ledger.statements.sums import sums
    from alpaca_pipe.ledger.store.journal import Journal
    from alpaca_pipe.report.run_files import left

    step = left(workspace.root, loaded.name).step("export").folder
    if step is None:
        raise UserError(
            f"{loaded.name}: export was not run yet", f"run `alpaca-pipe run {loaded.name}`"
        )
    lock = workspace.lock(loaded.name)
    facts = [("recipe", f"{loaded.name}, sha256 {digest_of(lock.get('config', {}))[:16]}")]
    if workspace.ledger.exists():
        with Journal.open(workspace.ledger) as journal:
            facts.extend(card_facts(sums(journal, recipe=loaded.name).total))
    with TemporaryDirectory(dir=workspace.root, prefix=".push.") as folder:
        gather(step, Path(folder), facts)
        rows = step / "dataset" / "README.md"
        rows_card = rows if rows.is_file() else None
        whole = Path(folder)
        if dry_run:
            from alpaca_pipe.data.push_preview import preview

            told = preview(
                whole, name, accepted=accepted, private=private, kind="model", rows_card=rows_card
            )
            return "\n".join(told)
        return push_to_hub(
            whole, name, accepted=accepted, private=private, kind="model", rows_card=rows_card
        )
