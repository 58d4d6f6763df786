"""report.html: one file that needs nothing else, to be shown to somebody who was not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alpaca_pipe.core.files import write_atomic
from alpaca_pipe.core.registry import members
from alpaca_pipe.core.safe_names import within
from alpaca_pipe.report.chapters.base import ReportChapter, Told, dollars
from alpaca_pipe.report.facts import Facts, gather
from alpaca_pipe.report.message_texts import turns_of
from alpaca_pipe.report.verdict_text import in_words

TEMPLATE, CHAPTERS = "report.html.j2", "alpaca_pipe.report.chapters"


@dataclass(frozen=True)
class Headline:
    name: str
    value: str
    note: str


def write(workspace: Path, recipe: str) -> Path:
    """Writes the page of a recipe's last run as `reports/<run>.html`, where it stays, and as `report.html`."""
    facts = gather(workspace, recipe)
    page = render(facts)
    own = within(workspace, recipe)
    if run := facts.run.get("run"):
        write_atomic(within(own / "reports", run, ".html"), page)
    write_atomic(own / "report.html", page)
    return own / "report.html"


def render(facts: Facts) -> str:
    """The page as HTML. All text is escaped: rows come from a model."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("alpaca_pipe.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["shortened"] = _shortened
    environment.filters["turns"] = turns_of
    verdict = in_words(facts.verdict, str(facts.run.get("outcome", "")))
    return environment.get_template(TEMPLATE).render(
        facts=facts,
        verdict=verdict,
        figures=list(_figures(facts)),
        when=str(facts.run.get("at", ""))[:16].replace("T", " "),
        outcome=_outcome(facts),
        chapters=list(_chapters(facts)),
        read_from=facts.run.get("run") or facts.recipe,
    )


@dataclass(frozen=True)
class ToldChapter:
    """A chapter that has something to say of this run."""

    name: str
    template: str
    told: Told


def _chapters(facts: Facts) -> Iterator[ToldChapter]:
    for one in sorted(members(CHAPTERS, ReportChapter), key=lambda one: (one.order, one.name)):
        told = one.told(facts)
        if told is not None:
            yield ToldChapter(one.name, f"chapters/{one.template}", told)


def _shortened(text: str, most: int) -> str:
    return (
        text
        if len(text) <= most
        else f"{text[:most].rstrip()} … ({len(text) - most:,} more characters)"
    )


def _outcome(facts: Facts) -> str:
    outcome = str(facts.run.get("outcome", ""))
    return {"stopped": "stopped before its end", "failed": "failed"}.get(outcome, "")


def _figures(facts: Facts) -> Iterator[Headline]:
    """The four figures that everybody asks for."""
    funnel = facts.funnel
    if funnel.stretches:
        yield Headline("examples kept", f"{funnel.last:,}", f"of {funnel.first:,} {_unit(facts)}")
    if facts.verdict and {"base", "tuned"} <= set(facts.verdict.get("loss", {})):
        losses = facts.verdict["loss"]
        yield Headline(
            "held-out loss",
            f"{losses['base']['mean']:.2f} → {losses['tuned']['mean']:.2f}",
            "base → tuned",
        )
    if facts.money:
        paper = (
            "on paper"
            if facts.rehearsal
            else "the teacher is free"
            if facts.money.free
            else "settled here, without what came in the pack"
            if facts.money.elsewhere
            else "settled, all runs"
        )
        yield Headline("dollars", dollars(facts.money.total.settled), paper)
    if facts.steps:
        yield Headline("machine time", _span(facts.minutes), "all stages, as made")


def _unit(facts: Facts) -> str:
    return (
        "candidates in the replies" if facts.funnel.stretches[0].kind == "generate" else "rows read"
    )


def _span(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
