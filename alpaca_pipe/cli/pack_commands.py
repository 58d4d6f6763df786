"""The commands of two machines: pack and unpack."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpaca_pipe.cli.common import (
    ROAD,
    Json,
    Overrides,
    RecipeName,
    Rehearsed,
    Runs,
    confirmed,
    finished,
    opened,
    recipe_called,
)
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json

if TYPE_CHECKING:
    from alpaca_pipe.pack.export_recipe import Packed
    from alpaca_pipe.pack.unpacking import Unpacked
    from alpaca_pipe.recipe.workspace import Workspace

app = typer.Typer()


class Part(StrEnum):
    results = "results"
    adapter = "adapter"


@app.command(rich_help_panel=ROAD)
def pack(
    recipe: RecipeName,
    overrides: Overrides = None,
    stage: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="STAGE",
            help="For another machine, which runs this stage and the later ones.",
        ),
    ] = None,
    only: Annotated[
        Part | None,
        typer.Option(
            help="results: on the other machine, what was made and spent, for the way back. adapter: what was trained, with its "
            "template, tokenizer and card, for use on its base anywhere."
        ),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(
            metavar="DOLLARS",
            help="How much the other machine may spend on machine time; default: all that the budgets leave.",
        ),
    ] = None,
    api: Annotated[
        str | None,
        typer.Option(metavar="DOLLARS", help="How much it may spend on requests; default: 0."),
    ] = None,
    replies: Annotated[bool, typer.Option("--replies", help="Include the raw replies.")] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Default: RECIPE.tar.zst")
    ] = None,
    as_json: Json = False,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
) -> None:
    """Write one file for another machine: RECIPE, its finished steps and a share of its budget; or, there, the results; or the
    trained adapter alone (RECIPE@DATE: of that run). Never an API key."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.pack.export_recipe import pack as write
    from alpaca_pipe.pack.export_results import pack_results
    from alpaca_pipe.recipe.workspace import Workspace

    if stage is not None and only is not None:
        raise UserError(
            "--for STAGE and --only are two kinds of pack",
            "take one of them: `alpaca-pipe pack vet --for train`; without either, vet is handed over as it is",
        )
    if rehearse and only is not Part.adapter:
        raise UserError("--rehearse goes with --only adapter", "leave it out")
    if only is Part.adapter:
        if share or api or replies or overrides:
            raise UserError(
                "--only adapter takes what a run left: no KEY=VALUE, --share, --api or --replies",
                "leave them out",
            )
        done, next_ = _adapter(recipe, out, runs, rehearse)
    elif only:
        name = recipe_called(recipe)
        name = (
            name
            if (runs / name).is_dir()
            else opened(recipe, overrides, runs, rehearse=False)[0].name
        )
        done = pack_results(name, Workspace(runs), _say, out=out, replies=replies)
        next_ = f"at home: alpaca-pipe unpack {done.file.name}"
    else:
        loaded, workspace = opened(recipe, overrides, runs, rehearse=False)
        done = write(
            loaded,
            CATALOG,
            workspace,
            stage or "",
            _say,
            out=out,
            gpu=_amount("--share", share),
            api=_amount("--api", api),
            replies=replies,
        )
        next_ = (
            f"there: alpaca-pipe unpack {done.file.name}; alpaca-pipe run {done.recipe}; "
            f"alpaca-pipe pack {done.recipe} --only results"
            if stage
            else f"there: alpaca-pipe unpack {done.file.name}; alpaca-pipe report {done.recipe}; alpaca-pipe rows {done.recipe}"
        )
    _show_packed(done, next_, as_json)


def _adapter(recipe: str, out: Path | None, runs: Path, rehearse: bool) -> tuple[Packed, str]:
    """The file, and what to do next."""
    from alpaca_pipe.pack.adapter_pack import pack_adapter
    from alpaca_pipe.recipe.workspace import Workspace

    called, _, when = recipe.partition("@")
    name, root = finished(called, runs, rehearse)
    done = pack_adapter(name, Workspace(root), when, out=out)
    return (
        done,
        f"there: alpaca-pipe unpack {done.file.name}; alpaca-pipe chat {name}-adapter",
    )


def _show_packed(done: Packed, next_: str, as_json: bool) -> None:
    from alpaca_pipe.recipe.gc import spelled

    if as_json:
        lent = done.share and {"id": done.share.id, "gpu": done.share.gpu, "api": done.share.api}
        echo_json(
            {
                "file": str(done.file),
                "kind": done.kind,
                "recipe": done.recipe,
                "steps": dict(done.steps),
                "bytes": done.size,
                "share": lent,
            }
        )
        return
    held = "" if done.kind == "adapter" else f", with {', '.join(done.steps) or 'no step'}"
    echo(f"{done.file}  {spelled(done.size)}  {done.kind} of {done.recipe}{held}")
    if done.share:
        reserved = (
            "nothing is reserved here"
            if done.share.lends_nothing
            else "reserved here until its results are unpacked"
        )
        echo(f"share       {done.share.says()}, {reserved} ({done.share.id})")
    echo(next_)


@app.command(rich_help_panel=ROAD)
def unpack(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A packed file; with --give-up, the name of its share is enough."
        ),
    ],
    give_up: Annotated[
        bool, typer.Option("--give-up", help="The results will not come: end the share.")
    ] = False,
    spent: Annotated[
        str | None,
        typer.Option(
            metavar="DOLLARS",
            help="With --give-up: how much was spent there; otherwise the whole share counts as lost.",
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do not ask: agree to what the pack would be asked about."),
    ] = False,
    read: Annotated[
        bool, typer.Option("--read", help="Print its recipe and the code in it; unpack nothing.")
    ] = False,
    into: Annotated[
        Path, typer.Option("--into", metavar="FOLDER", help="The folder to put the recipe in.")
    ] = Path("."),
    as_json: Json = False,
    runs: Runs = Path("runs"),
) -> None:
    """Unpack a recipe on another machine, or its results at home, completely or not at all. The ledgers are merged; doing it twice changes nothing."""
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.pack.adapter_pack import unpack_adapter
    from alpaca_pipe.pack.import_recipe import arrive
    from alpaca_pipe.pack.import_results import come_home
    from alpaca_pipe.pack.manifest import AdapterPack, RecipePack
    from alpaca_pipe.pack.manifest import opened as looked
    from alpaca_pipe.recipe.interrupts import plain_disk_errors
    from alpaca_pipe.recipe.workspace import Workspace

    workspace = Workspace(runs)
    if read:
        from alpaca_pipe.pack.read_before import texts_in

        for name, text in texts_in(Path(file)):
            echo(f"---- {name}\n{text.rstrip()}\n")
        return
    if spent is not None and not give_up:
        raise UserError("--spent belongs to --give-up", "results bring their own books")
    if give_up:
        _give_up(file, spent, workspace, as_json)
        return
    with plain_disk_errors(runs):
        found = looked(Path(file))
        if isinstance(found, AdapterPack):
            done = unpack_adapter(Path(file), found, into, _say)
        elif isinstance(found, RecipePack):
            agree = _agreement(yes, as_json)
            done = arrive(Path(file), found, CATALOG, workspace, into, _say, agree)
        else:
            done = come_home(Path(file), found, workspace, _say, lowered=yes)
    if as_json:
        echo_json(
            {
                "kind": done.kind,
                "recipe": done.recipe,
                "steps": dict(done.steps),
                "share": done.share,
                "spent": done.spent,
                "entries": done.entries,
                "file": str(done.file) if done.file else None,
                "apart": list(done.apart),
                "why_apart": list(done.why),
                "changed": list(done.changed),
            }
        )
    else:
        _tell(done, "" if runs == Path("runs") else f" --runs {runs}")


def _give_up(file: str, spent: str | None, workspace: Workspace, as_json: bool) -> None:
    from alpaca_pipe.ledger.money import shown
    from alpaca_pipe.pack.import_results import give_up

    told = _amount("--spent", spent)
    share = give_up(file, told, workspace)
    lost = (
        f"{shown(share.amount)} count as lost until `--spent` or the results say otherwise"
        if told is None
        else "as you said"
    )
    if as_json:
        echo_json(
            {
                "kind": "given up",
                "recipe": share.recipe,
                "share": share.id,
                "amount": share.amount,
                "spent": told,
            }
        )
    else:
        echo(f"{share.id} of {share.recipe} is given up: {lost}")


def _agreement(yes: bool, as_json: bool) -> Callable[[Sequence[str]], None]:
    """How what a pack wants is agreed to: by --yes, or by whoever sits at the terminal."""
    from alpaca_pipe.pack.import_recipe import refuse_unasked

    def agree(asks: Sequence[str]) -> None:
        if yes:
            return
        if as_json or not sys.stdin.isatty():
            refuse_unasked(asks)
        for sentence in asks:
            _say(f"careful: {sentence}")
        if any("read it first" in sentence for sentence in asks):
            _say("its recipe and its code: `alpaca-pipe unpack FILE --read`")
        if not confirmed("unpack it anyway?"):
            raise UserError("nothing was unpacked", "look at what is in it: unpack FILE --read")

    return agree


def _tell(done: Unpacked, where: str) -> None:
    """where: the option that names the workspace, for the next commands."""
    from alpaca_pipe.ledger.money import shown
    from alpaca_pipe.report.run_files import ROAD

    if done.kind == "adapter":
        echo(f"unpacked    {done.file}")
        echo(f"alpaca-pipe chat {done.file}; alpaca-pipe serve {done.file}")
    elif done.kind == "recipe":
        echo(f"unpacked    {done.file}; up to date here: {', '.join(done.steps) or 'nothing'}")
        echo(
            f"share       {done.says} may be spent here"
            if done.share
            else f"share       {done.says}"
        )
        echo(
            f"alpaca-pipe report {done.recipe}{where}; alpaca-pipe rows {done.recipe}{where}"
            if done.handed_over
            else f"alpaca-pipe run {done.file}{where}; then alpaca-pipe pack {done.recipe} --only results{where}"
        )
    else:
        steps = sorted(done.steps, key=(*ROAD, *done.steps).index)
        echo(
            f"unpacked    {', '.join(steps) or 'no step'}; {done.entries:,} entries added to the books"
        )
        left = (
            f" of {shown(done.share)}; what is left is free again"
            if done.share
            else f"; it was lent {done.says}"
        )
        echo(f"share       {shown(done.spent)} spent there{left}")
        for line in _whose_run(done, where):
            echo(line)


def _whose_run(done: Unpacked, where: str) -> Iterator[str]:
    """What the recipe's last run is now, and what can be done with what came."""
    from alpaca_pipe.pack.which_run_is_last import few

    if not done.why:
        if done.changed:
            yield f"changed     {few(done.changed)}: set there, otherwise than in the last run here"
        yield f"last run    {done.recipe} is now what came"
        yield (
            f"alpaca-pipe report {done.recipe}{where}; "
            f"alpaca-pipe ledger {done.recipe} --by machine{where}"
        )
        return
    for run in done.apart:
        yield f"kept apart  {done.recipe}@{run}; {done.recipe} is what it was before"
    if done.changed:
        yield f"            set there, otherwise than in the last run here: {few(done.changed)}"
    if done.apart:
        name = f"{done.recipe}@{done.apart[-1]}"
        yield f"alpaca-pipe compare {done.recipe} {name}{where}; alpaca-pipe chat {name}{where}"


def _amount(option: str, text: str | None) -> int | None:
    """Nano-dollars."""
    from alpaca_pipe.ledger.money import nanodollars

    try:
        amount = Decimal(text) if text is not None else None
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount is not None and (not amount.is_finite() or amount < 0):
        raise UserError(f"{option}: '{text}' is not an amount", "write dollars, like 5 or 0.50")
    return None if amount is None else nanodollars(amount)


def _say(sentence: str) -> None:
    echo(sentence, err=True)
