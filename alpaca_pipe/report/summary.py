"""The last lines of a run: rows, losses with intervals and controls, money, minutes, and where the report is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.data.run_names import began, history, numbers
from alpaca_pipe.evaluate.judge.judge_words import judge_lines
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.statements.anomalies import anomalies
from alpaca_pipe.ledger.statements.simulated import simulated, simulated_line
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.report.costs import money
from alpaca_pipe.report.forecast_vs_actual import (
    StepComparison,
    gathered,
    planned_minutes,
    unit_costs,
)
from alpaca_pipe.report.funnel import by_hand_in_words, funnel
from alpaca_pipe.report.heavy_rules import heavy_rules
from alpaca_pipe.report.reading_notes import reading_lines
from alpaca_pipe.report.run_files import RunFiles, left

_CONTESTANTS = {
    "base": "base",
    "chat": "base, asked in its own chat template",
    "shuffled": "tuned on shuffled answers",
    "sft": "tuned without the teacher",
    "tuned": "tuned",
}


def close(
    workspace: Path, recipe: str, write: bool = True, run: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Lines for the end of `run`; writes the report first where the last run has none yet, unless `write` is False. run: an
    earlier one, by its line of the history: nothing is written for it."""
    found = left(workspace, recipe, run)
    yield ""
    yield from _rows(found)
    yield from _preferences(found)
    yield from _losses(found)
    yield from _judge(found)
    yield from _money(found)
    yield from _minutes(found)
    page = _kept(workspace, found) if run else _report(workspace, found, write)
    yield f"report      {page or ('none was kept' if run else 'none yet')}"


def history_rows(workspace: Path, recipe: str) -> list[dict[str, Any]]:
    """The runs of a recipe, the oldest first. number: RECIPE@1 is the latest that was finished, None one that was not; report: None
    where there is none."""
    runs = history(workspace, recipe)
    told = [
        {
            "number": number or None,
            **{key: value for key, value in run.items() if key != "config"},
            "report": str(page) if (page := _page(workspace, recipe, run)).exists() else None,
        }
        for run, number in zip(runs, numbers(runs), strict=True)
    ]
    return sorted(told, key=began)


def history_lines(workspace: Path, recipe: str) -> Iterator[str]:
    """The same, a line each."""
    for row in history_rows(workspace, recipe):
        steps = ", ".join(f"{kind} {minutes:.1f} min" for kind, minutes in row["minutes"].items())
        changed = f"  [{' '.join(set_)}]" if (set_ := _changed(row)) else ""
        if row.get("apart"):
            changed += f"  kept apart: unpacked from {row.get('machine', 'another machine')}"
        number = f"@{row['number']}" if row["number"] else "-"
        yield f"{number:<4} {row['run']}  {row['outcome']:<8} {steps}{changed}  {row['report'] or 'no report'}"


def _changed(row: Mapping[str, Any]) -> list[str]:
    """What it was set otherwise: on its command line, or where it came from."""
    return list(row.get("changed" if row.get("apart") else "overrides") or ())


def _page(workspace: Path, recipe: str, run: Mapping[str, Any]) -> Path:
    return within(within(workspace, recipe) / "reports", run["run"], ".html")


def kept_page(workspace: Path, recipe: str, run: Mapping[str, Any]) -> Path:
    """The report of an earlier run, as it was written then. Raises UserError where there is none."""
    page = _page(workspace, recipe, run)
    if not page.is_file():
        raise UserError(
            f"{recipe}@{run['run']}: no report of it was kept",
            f"`alpaca-pipe history {recipe}` lists those that were; `alpaca-pipe report {recipe}` writes the last run's",
        )
    return page


def summed_up(
    workspace: Path, recipe: str, write: bool = True, run: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the last lines of a run say, for programs; money in nano-dollars. Writes the report as `close` does; report: None where
    there is none. run: as in `close`."""
    found = left(workspace, recipe, run)
    books, (_, costs) = money(found), gathered(found, funnel(found))
    spent = (
        {name: getattr(books.total, name) for name in ("settled", "lost", "open")}
        if books
        else None
    )
    return {
        "recipe": recipe,
        "run": found.run.get("run"),
        "outcome": found.run.get("outcome"),
        "rehearsal": found.rehearsal,
        "steps": {
            kind: {
                "folder": step.folder.name if step.folder else None,
                "sealed": step.sealed,
                "summary": step.summary,
                "minutes": round(step.done.get("seconds", 0.0) / 60, 3),
            }
            for kind, step in found.steps.items()
        },
        "nanodollars": spent
        and {
            **spent,
            "this_run": books.this_run if books else 0,
            "a_kept_example": costs.kept_example,
        },
        "free": books.free if books else None,
        "came_in_a_pack": list(books.elsewhere) if books else [],
        "report": _kept(workspace, found) if run else _report(workspace, found, write),
    }


def _rows(found: RunFiles) -> Iterator[str]:
    generated, curated = found.step("generate").summary, found.step("curate").summary
    if generated:
        stored = (
            f", {generated['from_store']} of them answered by our own store"
            if generated.get("from_store")
            else ""
        )
        yield (
            f"accepted    {generated['accepted']} examples of {generated['pieces']} candidates, "
            f"from {generated['requests']} requests{stored}"
        )
        if before := generated.get("extended"):
            full = (
                "" if generated["requests"] else ": generate.count wants no more, nobody was asked"
            )
            yield f"            after {before} rows of an earlier run{full}"
        if generated.get("note"):
            yield f"            {generated['note']}"
    if curated:
        dropped = sum(curated["rejected"].values())
        yield (
            f"curated     {curated['kept']} kept, {dropped} dropped; {curated['train']} to train on, "
            f"{curated['held_out']} held out"
        )
        for line in reading_lines(curated):
            yield f"            {line}"
        compared = found.config.get("curate", {}).get("duplicates", {}).get("on", "")
        for line in heavy_rules(curated, compared=compared):
            yield f"            {line}"
        if by_hand := curated.get("by_hand"):
            yield f"            {by_hand_in_words(by_hand)}"


def _preferences(found: RunFiles) -> Iterator[str]:
    made, aligned = found.step("pairs").summary, found.step("align").summary
    if made:
        yield f"pairs       {made['pairs']} of {made['rows']} prompts, {made['ties']} ties"
    if sentence := aligned.get("sentence"):
        yield f"aligned     {sentence.removeprefix('align: ')}"


def _losses(found: RunFiles) -> Iterator[str]:
    verdict = found.step("evaluate").summary
    if not verdict:
        return
    yield f"held-out loss, nats a token on {verdict['rows']} rows (95 % interval)"
    for name, words in _CONTESTANTS.items():
        if loss := verdict["loss"].get(name):
            than = verdict["difference"].get(name)
            beside = (
                f"   tuned is {than['mean']:+.3f} [{than['lo']:+.3f}, {than['hi']:+.3f}]"
                if than
                else ""
            )
            yield f"  {words:<38} {loss['mean']:.3f} [{loss['lo']:.3f}, {loss['hi']:.3f}]{beside}"
    for name, why in verdict.get("missing", {}).items():
        yield f"  {_CONTESTANTS[name]:<38} not measured: {why}"
    yield f"verdict     {verdict['sentence']}"
    if foreign := verdict.get("foreign"):
        yield f"            {foreign['sentence']}"
    elif "rows_of" in verdict:
        yield "            rows of others were not scored (evaluate.foreign)"


def _money(found: RunFiles) -> Iterator[str]:
    books = money(found)
    if books is None:
        return
    with Journal.open(found.ledger, read_only=True) as journal, journal.read() as db:
        scripted = 0 if found.rehearsal else simulated(db, found.recipe)
    paper = " simulated (a rehearsal: $0.00 was spent)" if found.rehearsal else ""
    free = ", the teacher is free" if books.free else ""
    lost = f", {shown(books.total.lost)} lost" if books.total.lost else ""
    beside, costs = gathered(found, funnel(found))
    if (
        books.earlier
    ):  # two sums, each named: this run's beside what was planned for it, and the recipe's
        yield f"money       {shown(books.this_run)} in this run{paper}{free}{_planned(found, beside)}"
        yield f"            {shown(books.total.settled)} in all runs of this recipe together{lost}"
    else:
        yield f"money       {shown(books.total.settled)}{paper}{free}{lost}{_planned(found, beside)}"
    if books.elsewhere:
        yield f"            {books.elsewhere_in_words}"
    for line in (*simulated_line(scripted), *unit_costs(costs)):
        yield f"            {line}"
    with Journal.open(found.ledger, read_only=True) as journal, journal.read() as db:
        for number, line in enumerate(anomalies(db, found.recipe)):
            yield f"{'' if number else 'anomalies':<11} {line}"


def _planned(found_run: RunFiles, beside: tuple[StepComparison, ...]) -> str:
    """The forecast of the steps that this run made, in the middle and from P10 to P90: of a step that it resumed, of the rest."""
    own = found_run.run.get("run")
    found = [
        one.planned
        for step in beside
        if found_run.step(step.kind).done.get("run") == own
        for one in step.measures
        if one.name == "dollars" and one.planned
    ]
    if not found:
        return ""
    low, middle, high = (round(sum(planned[place] for planned in found)) for place in range(3))
    return f"; planned {shown(middle)} ({shown(low)} to {shown(high)})"


def _judge(found: RunFiles) -> Iterator[str]:
    if judge := found.step("evaluate").summary.get("judge"):
        heads = iter(("judge       ",))
        for line in judge_lines(judge):
            yield f"{next(heads, ' ' * 12)}{line}"


def _minutes(found: RunFiles) -> Iterator[str]:
    parts, total = [], 0.0
    for kind, step in found.steps.items():
        if step.sealed:
            minutes = step.done["seconds"] / 60
            total += minutes
            parts.append(f"{kind} {minutes:.1f} (planned {planned_minutes(step) or 0:.1f})")
    yield f"minutes     {', '.join(parts)}; in all {total:.1f}"


def _kept(workspace: Path, found: RunFiles) -> str | None:
    page = _page(workspace, found.recipe, found.run)
    return str(page) if page.is_file() else None


def _report(workspace: Path, found: RunFiles, write_it: bool) -> str | None:
    own = within(workspace, found.recipe)
    page, kept = own / "report.html", own / "reports" / f"{found.run.get('run')}.html"
    if page.exists() and (
        kept.exists() or not (found.run or write_it)
    ):  # what came in a pack has no run here
        return str(page)
    if not write_it:
        return None
    if find_spec("matplotlib") is None or find_spec("jinja2") is None:
        return "not written: pip install 'alpaca-pipe[report]', then `alpaca-pipe report`"
    from alpaca_pipe.report.report_page import write

    return str(write(workspace, found.recipe))
