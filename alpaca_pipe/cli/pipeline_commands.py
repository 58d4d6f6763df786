"""The commands of the road: from a recipe to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alpaca_pipe.cli.common import (
    LOOKING_BACK,
    ROAD,
    ROWS,
    START,
    TONE,
    Again,
    Json,
    Overrides,
    RecipeName,
    Rehearsed,
    Runs,
    finished_run,
    narrator,
    opened,
    result,
    stage_names,
    with_last,
)
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json, new_console

app = typer.Typer()


@app.command(rich_help_panel=ROAD)
def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    until: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Stop after this stage.", autocompletion=stage_names),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Run this stage alone.", autocompletion=stage_names),
    ] = None,
    rehearse: Annotated[
        bool,
        typer.Option(
            help="Run every stage in minutes with a scripted teacher, for $0, in a separate folder."
        ),
    ] = False,
    spend: Annotated[
        bool | None,
        typer.Option(
            "--spend/--no-spend",
            help="Whether new requests may be sent. Default: yes, except those that only replace rows that a changed filter dropped.",
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Send a request again where its prompt has changed, instead of using the earlier reply.",
        ),
    ] = False,
    accept: Annotated[
        bool,
        typer.Option(
            "--i-accept-terms",
            help="I have read the terms of the models and data of this recipe and may use them; recorded with the date.",
        ),
    ] = False,
    new_ledger: Annotated[
        bool,
        typer.Option(
            "--new-ledger",
            help="The ledger is lost for good: start a new one, although this workspace has steps that cost money.",
        ),
    ] = False,
    again: Again = False,
    as_json: Json = False,
) -> None:
    """Run the steps of RECIPE that are not up to date."""

    from alpaca_pipe.api import carry_out
    from alpaca_pipe.report.summary import summed_up

    overrides = with_last(again, recipe, overrides, runs, rehearse)
    loaded, workspace = opened(recipe, overrides, runs, rehearse)
    done = carry_out(
        loaded,
        workspace,
        narrator(as_json),
        until=until,
        only=only,
        rehearse=rehearse,
        spend=spend,
        fresh=fresh,
        accept_terms=accept,
        new_ledger=new_ledger,
        verbose=TONE.get().verbose,
    )
    if as_json:
        echo_json(
            {**summed_up(workspace.root, loaded.name), "ran": sorted(done.ran), "this": done.run}
        )
        return
    for line in done.closing:
        new_console(soft_wrap=True).print(line, highlight=False)


@app.command(rich_help_panel=ROAD)
def plan(
    recipe: RecipeName,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    again: Again = False,
    as_json: Json = False,
) -> None:
    """Show for each step of RECIPE whether it must run, and what it will cost; with -v why, what that rests on, and all that would be
    cheaper. Nothing is run or sent. `plan pretrain parameters=13b tokens=1t` and `plan serving conversations=1000` price what has no
    recipe: pre-training, and answering by API or on a GPU of one's own; `plan prompts count=52m` simulates."""
    if recipe in ("pretrain", "serving", "prompts") and not Path(recipe).exists():
        from alpaca_pipe.planner.plans_without_recipe import PLANS

        if again or rehearse:
            raise UserError(
                f"plan {recipe}: there is no recipe to rehearse or to run again",
                "leave --again and --rehearse away",
            )
        PLANS[recipe](overrides or (), as_json)
        return
    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.planner.plan_page import print_plan
    from alpaca_pipe.recipe.same_name import another_of_that_name

    overrides = with_last(again, recipe, overrides, runs, rehearse)
    loaded, workspace = opened(recipe, overrides, runs, rehearse)
    if twin := another_of_that_name(loaded, workspace):
        echo(f"note: {twin}", err=True)
    if loaded.sweep:
        from alpaca_pipe.sweep.sweep_plan import plan_sweep, point_recipes, print_sweep_plan

        points = point_recipes(loaded, CATALOG, runs, rehearse)
        print_sweep_plan(plan_sweep(loaded, points, CATALOG, workspace), as_json)
        return
    print_plan(loaded, CATALOG, workspace, rehearse, as_json, TONE.get().verbose)


@app.command(rich_help_panel=ROWS)
def curate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="JSON, JSONL, CSV, Parquet (.gz, .zst too), ShareGPT, "
            "messages, a folder, or hub:OWNER/NAME.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.")],
    likeness: Annotated[
        str | None,
        typer.Option(
            help="A later row is a duplicate if its ROUGE-L F is above this; default 0.7."
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="What duplicates are told by: task (default), instruction, input, output, row."
        ),
    ] = None,
    words: Annotated[
        str | None,
        typer.Option(help="The tokenizer: unicode, rouge (as rouge-score does), or rouge-stem."),
    ] = None,
    filters: Annotated[
        str,
        typer.Option(
            help="A set (none, stanford, default) or names: media,empty_output; -NAME is off"
        ),
    ] = "default",
    engine: Annotated[str | None, typer.Option(help="Where to run: local, or ray.")] = None,
    format: Annotated[
        str | None, typer.Option(help="Read the file in this format, whatever it looks like.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Put rows that cannot be read aside and continue.")
    ] = False,
    turns: Annotated[
        str | None,
        typer.Option(help="Of a conversation: all exchanges (default), first, or refuse."),
    ] = None,
    first: Annotated[
        int | None, typer.Option(min=1, help="Only this many rows, from the start.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART=COLUMN,...",
            help="What columns are: instruction=query,input=context,output=answer,system=persona,unread=score.",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which split of FILE: train, test, a sheet.")
    ] = None,
    written_as: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="Also write the kept rows as alpaca, messages, sharegpt, chatml, parquet, openorca.",
        ),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", help="Manual decisions (see review)."),
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Clean any instruction data. Writes examples.jsonl, rejected.jsonl with reasons, repaired.jsonl and summary.json to OUT."""
    from alpaca_pipe.data.publish import written_forms
    from alpaca_pipe.data.shapes.columns import Columns
    from alpaca_pipe.recipe.workspace import Workspace
    from alpaca_pipe.report.heavy_rules import heavy_rules
    from alpaca_pipe.report.reading_notes import reading_lines
    from alpaca_pipe.standalone import curate as clean

    if decisions is not None and not decisions.is_file():
        raise UserError(
            f"{decisions}: no such file",
            "name a file of decisions, as `alpaca-pipe review` writes it",
        )
    options = {
        "likeness": likeness,
        "duplicates": {"on": on} if on else None,
        "words": words,
        "engine": engine,
        "format": format,
        "turns": turns,
        "columns": Columns.parse(",".join(columns)) if columns else None,
        "split": split,
        "first": first,
        "keep_going": keep_going or None,
        "decisions": decisions and str(decisions),
    }
    done = clean(
        source,
        out,
        Workspace(runs),
        narrator(as_json),
        filters=filters,
        options=options,
        written_as=written_forms(written_as),
        verbose=TONE.get().verbose,
    )
    summary = done.summary
    if as_json:
        echo_json({"folder": str(done.folder), "changed": done.changed, **summary})
        return
    why = ", ".join(f"{rule} {count:,}" for rule, count in summary["rejected"].items()) or "none"
    echo(
        f"{summary['read']:,} read: {summary['kept']:,} kept ({summary['repaired']:,} of the rows repaired), "
        f"{sum(summary['rejected'].values()):,} dropped ({why})"
    )
    for line in (*reading_lines(summary), *heavy_rules(summary, filters, on or "")):
        echo(line)
    for name, answers in done.reasoning_left_out.items():
        echo(f"{name}: the reasoning of {answers:,} answers is left out; --as messages holds it")
    echo(f"{done.folder}{'' if done.changed else ': nothing changed'}")


@app.command(rich_help_panel=ROWS)
def rows(
    recipe: RecipeName,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    rejected: Annotated[
        bool, typer.Option(help="List the dropped rows, with their reasons.")
    ] = False,
    rule: Annotated[str | None, typer.Option(help="Only rows that this rule dropped.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="A random sample of this size.")] = None,
    grep: Annotated[
        str | None, typer.Option(help="Only rows that match this regular expression.")
    ] = None,
    start: Annotated[
        int, typer.Option("--from", min=1, help="Begin with this one, counted from 1.")
    ] = 1,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="At most so many; 0: all. Default: 50 in a terminal, else all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the rows of RECIPE's last run, with their ids."""
    from alpaca_pipe.report.rows import print_rows

    name, workspace, past = finished_run(recipe, runs, rehearse)
    print_rows(
        workspace,
        name,
        run=past,
        rejected=rejected or rule is not None,
        rule=rule,
        sample=sample,
        grep=grep,
        start=start,
        limit=limit,
        as_json=as_json,
    )


@app.command(rich_help_panel=ROWS)
def trace(
    id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The id of an example, or the first characters of it."),
    ],
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    as_json: Json = False,
) -> None:
    """Show where one example comes from: seeds, prompt, reply, verdicts, and its cost."""
    from alpaca_pipe.report.trace import print_trace

    print_trace(runs / "rehearsal" if rehearse else runs, id, as_json)


@app.command(rich_help_panel=LOOKING_BACK)
def report(
    recipe: RecipeName,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    show: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print what it comes to, and write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the report of RECIPE's last run again and print its path."""
    from alpaca_pipe.report.browser import open_page
    from alpaca_pipe.report.report_page import write
    from alpaca_pipe.report.summary import close, kept_page, summed_up

    name, workspace, past = finished_run(recipe, runs, rehearse)
    if summary:
        if as_json:
            echo_json(summed_up(workspace, name, write=False, run=past))
        else:
            echo("\n".join(close(workspace, name, write=False, run=past)))
        return
    page = kept_page(workspace, name, past) if past else write(workspace, name)
    if as_json:
        echo_json({"report": str(page)})
    else:
        echo(page)
    if show and not open_page(page):
        echo(
            f"there is no browser here: open {page.resolve()} on a machine that has one; it is one file",
            err=True,
        )


@app.command(rich_help_panel=ROAD)
def push(
    recipe: RecipeName,
    name: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Its name on the Hugging Face hub.")
    ],
    overrides: Overrides = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="A teacher whose terms you have read and accept; repeat for each teacher.",
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make it public; the default is private.")
    ] = False,
    model: Annotated[
        bool, typer.Option("--model", help="The merged model and its GGUF files, not the dataset.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the files and the card; send nothing, ask no network."
        ),
    ] = False,
    runs: Runs = Path("runs"),
) -> None:
    """Upload the dataset (with --model the model) that RECIPE exported, with its card, to the hub. Private by default; the terms of
    its rows' teachers must be accepted."""
    from alpaca_pipe.data.hub import push_to_hub

    loaded, workspace = opened(recipe, overrides, runs, False)
    if overrides:
        from alpaca_pipe.catalog import CATALOG
        from alpaca_pipe.recipe.made_with import check_made_with

        check_made_with(overrides, loaded, CATALOG, workspace, "export")
    if model:
        from alpaca_pipe.api import push_model

        echo(push_model(loaded, workspace, name, accept or (), not public, dry_run))
        return
    if dry_run:
        from alpaca_pipe.data.push_preview import preview

        folder = result(workspace, loaded.name, "export") / "dataset"
        for line in preview(folder, name, accepted=accept or (), private=not public):
            echo(line)
        return
    echo(
        push_to_hub(
            result(workspace, loaded.name, "export") / "dataset",
            name,
            accepted=accept or (),
            private=not public,
        )
    )


@app.command(rich_help_panel=START)
def recipes(as_json: Json = False) -> None:
    """List the recipes that come with the program."""
    from alpaca_pipe.core.files import shipped

    found = {
        path.stem: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for path in sorted(shipped("recipes").glob("*.yaml"))
    }
    if as_json:
        echo_json([{"recipe": name, "makes": words} for name, words in found.items()])
        return
    for name, words in found.items():
        echo(f"{name:<22} {words}")


@app.command(rich_help_panel=ROWS)
def similarity(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Rows in any format that `curate` reads.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The output file; default FILE.similarity.jsonl."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seed tasks to put before the first row: a file, or alpaca."),
    ] = None,
    words: Annotated[
        str, typer.Option(help="The tokenizer: rouge (as rouge-score and Stanford do), or unicode.")
    ] = "rouge",
    as_json: Json = False,
) -> None:
    """Add Stanford's most_similar_instructions and avg_similarity_score to each row, compared with all rows before it."""

    from alpaca_pipe.generate.similarity_report import similarity as compare

    if words not in ("rouge", "rouge-stem", "unicode"):
        raise UserError(
            f"--words: should be rouge, rouge-stem or unicode, not '{words}'",
            "see `alpaca-pipe similarity --help`",
        )
    if not file.exists():
        raise UserError(f"{file}: no such file", "name a file of rows: JSON, JSONL, CSV, Parquet")
    into = out or file.with_name(f"{file.stem}.similarity.jsonl")
    said = compare(file, into, words, seeds, narrator(as_json).print)  # type: ignore[arg-type]
    if as_json:
        echo_json(said, indent=None)
        return
    echo(
        f"{said['rows']:,} rows, {said['pairs']:,} pairs in {said['seconds']} s: highest F {said['highest']:.4f}, mean "
        f"{said['mean']:.4f}; {said['wordless']:,} rows without any word, like nothing"
    )
    echo(said["out"])


@app.command(rich_help_panel=START)
def schema() -> None:
    """Print the JSON Schema of a recipe, for completion in an editor."""

    from alpaca_pipe.catalog import CATALOG
    from alpaca_pipe.recipe.schema import recipe_model

    echo_json(recipe_model(CATALOG).model_json_schema(by_alias=True))


@app.command(rich_help_panel=ROWS)
def show_mask(
    recipe: RecipeName,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    rehearse: Rehearsed = False,
    row: Annotated[int, typer.Option(min=0, help="The number of the training row.")] = 0,
    as_json: Json = False,
) -> None:
    """Show a training row as the model sees it: learned tokens in colour, prompt tokens dim."""
    from alpaca_pipe.train.show_mask import print_mask

    loaded, workspace = opened(recipe, overrides, runs, rehearse)
    print_mask(
        loaded.everything(), result(workspace, loaded.name, "curate") / "train.jsonl", row, as_json
    )


@app.command(rich_help_panel=START)
def doctor(
    recipe: Annotated[
        str, typer.Argument(metavar="[RECIPE]", help="The recipe whose needs are checked.")
    ] = "quickstart",
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Check this machine: Python, memory, disk, GPU, key, local model. Each problem comes with what to do."""
    from alpaca_pipe.doctor import print_checks

    loaded, workspace = opened(recipe, overrides, runs, False)
    raise typer.Exit(0 if print_checks(loaded, workspace.root, as_json) else 2)
