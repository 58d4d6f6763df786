"""report.html: one file that needs nothing else, to be shown to somebody who was not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import write_atomic
from alpaca_pipe.curate.review.overrides import RULE as BY_HAND
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.report import figures
from alpaca_pipe.report.costs import Money
from alpaca_pipe.report.curation_chapters import judged, varied
from alpaca_pipe.report.facts import Facts, gather
from alpaca_pipe.report.forecast_vs_actual import unit_costs
from alpaca_pipe.report.funnel import by_hand_in_words
from alpaca_pipe.report.message_texts import turns_of
from alpaca_pipe.report.verdict_text import in_words

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Headline:
    name: str
    value: str
    note: str


@dataclass(frozen=True)
class FunnelBar:
    """A line of the funnel. tone: came, dropped or kept; share: percent of what came first."""

    name: str
    count: int
    share: float
    tone: str


def write(workspace: Path, recipe: str) -> Path:
    """Writes the page of a recipe's last run as `reports/<run>.html`, where it stays, and as `report.html`."""
    facts = gather(workspace, recipe)
    page = render(facts)
    own = workspace / recipe
    if run := facts.run.get("run"):
        write_atomic(own / "reports" / f"{run}.html", page)
    write_atomic(own / "report.html", page)
    return own / "report.html"


def render(facts: Facts) -> str:
    """The page as HTML. All text is escaped: rows come from a model."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

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
        money=_money(facts),
        compared=_compared(facts),
        costs=" ".join(f"{line}." for line in unit_costs(facts.costs)),
        when=str(facts.run.get("at", ""))[:16].replace("T", " "),
        outcome=_outcome(facts),
        losses_svg=Markup(figures.held_out_losses(verdict.points)),
        curve_svg=Markup(figures.loss_curves(facts.curves)),
        judge=judged(facts.grades, facts.saved_minutes),
        variety=varied(facts.diversity),
        curve_sentence=_curve_sentence(facts),
        funnel=_funnel(facts),
        provenance=list(_provenance(facts)),
        config=json.dumps(_names_only(facts.config), indent=2, ensure_ascii=False)
        if facts.config
        else "",
        identities=[
            {"kind": step.kind, "identity": json.dumps(step.identity, indent=2, ensure_ascii=False)}
            for step in facts.steps
            if step.identity
        ],
        read_from=facts.run.get("run") or facts.recipe,
    )


def _names_only(value: Any) -> Any:
    """A config without places on this machine: the page is for others."""
    if isinstance(value, Mapping):
        return {name: _names_only(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_names_only(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


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
            else "settled, all runs"
        )
        yield Headline("dollars", _dollars(facts.money.total.settled), paper)
    if facts.steps:
        yield Headline("machine time", _span(facts.minutes), "all stages, as made")


def _unit(facts: Facts) -> str:
    return (
        "candidates in the replies" if facts.funnel.stretches[0].kind == "generate" else "rows read"
    )


def _span(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _dollars(amount: int) -> str:
    return shown(amount) if amount else "$0"


def _funnel(facts: Facts) -> Mapping[str, Any]:
    found = facts.funnel
    rows, whole = [], max(found.first, 1)
    for part in found.stretches:
        came = (
            "candidates found in the replies" if part.kind == "generate" else "rows read by curate"
        )
        rows.append(FunnelBar(came, part.came, 100 * part.came / whole, "came"))
        rows += [
            FunnelBar("manual" if rule == BY_HAND else rule, count, 100 * count / whole, "dropped")
            for rule, count in sorted(part.dropped.items(), key=lambda item: -item[1])
        ]
        rows.append(FunnelBar(f"kept by {part.kind}", part.kept, 100 * part.kept / whole, "kept"))
    gone = sum(sum(part.dropped.values()) for part in found.stretches)
    replies = f"{found.requests:,} requests" if found.requests else ""
    stored = f" ({found.from_store:,} answered from our own store)" if found.from_store else ""
    split = (
        f" The kept rows were split into {found.train:,} to train on and {found.held_out:,} held out."
        if found.held_out
        else ""
    )
    if found.too_long:
        split += (
            f" {found.too_long:,} of those to train on were too long and dropped by train: "
            f"{found.trained:,} were trained on."
        )
    if found.left_out:
        split += f" {found.left_out:,} of the held-out ones were too long and left out by evaluate."
    repaired = f" {found.repaired:,} rows were repaired on the way." if found.repaired else ""
    by_hand = f" {by_hand_in_words(found.by_hand).capitalize()}." if found.by_hand else ""
    return {
        "rows": rows,
        "sentence": f"{replies}{stored}{'.' if replies else ''}{split}{repaired}{by_hand}".strip()
        or "Every row that went has a rule and a sentence in rejected.jsonl.",
        "check": f"It adds up: {found.first:,} = {found.last:,} kept + {gone:,} dropped, "
        "counted again in the files.",
    }


def _money(facts: Facts) -> Mapping[str, Any]:
    """The ledger's table in words."""
    books = facts.money
    if books is None:
        return {
            "sentence": "The ledger is not in this copy, so what was paid cannot be said.",
            "rows": [],
        }
    rows = [
        {
            "name": line.name,
            "settled": _dollars(line.settled),
            "lost": _dollars(line.lost),
            "open": _dollars(line.open),
            "requests": f"{line.requests:,}" if line.attempts else "",
            "attempts": f"{line.attempts:,}" if line.attempts else "",
            "total": line is books.total,
        }
        for line in (*books.lines, books.total)
    ]
    stored = ""
    if books.from_store:
        worth = (
            f" They had cost {_dollars(books.saved)} when they were bought." if books.saved else ""
        )
        stored = f"{books.from_store:,} replies came from our own store and cost nothing.{worth}"
    exact = f"{books.total.settled:,} settled, {books.total.lost:,} lost, {books.total.open:,} open"
    local = (facts.config.get("teacher") or {}).get("kind") == "local_server"
    return {
        "sentence": _paid(books, facts.rehearsal, local),
        "rows": rows,
        "stored": stored,
        "energy": books.energy and f"{books.energy[0].upper()}{books.energy[1:]}.",
        "faults": books.faults,
        "check": f"The entries and the balances of the ledger agree to the nano-dollar: {exact}.",
    }


def _paid(books: Money, rehearsal: bool, local: bool) -> str:
    if books.free:
        return f"The {'local ' if local else ''}teacher is free: no API was paid, $0."
    lost = (
        f"{_dollars(books.total.lost)} lost (sent, outcome unknown, counted at its ceiling)"
        if books.total.lost
        else "nothing lost"
    )
    spent = (
        f"{_dollars(books.total.settled)} settled over all runs of this recipe, "
        f"{_dollars(books.this_run)} of it in this one; {lost}."
    )
    return f"On paper, for a rehearsal pays nothing: {spent}" if rehearsal else spent


def _compared(facts: Facts) -> Mapping[str, Any]:
    """Forecast and actual, a row a figure; a forecast of the middle, with P10 to P90 beside it."""
    rows = []
    for step in facts.compared:
        for place, one in enumerate(step.measures):
            spelled = _SPELLED.get(one.name, _whole)
            planned = [spelled(value) for value in one.planned] if one.planned else ["–", "–", "–"]
            rows.append(
                {
                    "step": step.kind if place == 0 else "",
                    "name": one.name,
                    "middle": planned[1],
                    "around": f"{planned[0]} – {planned[2]}" if one.planned else "–",
                    "was": spelled(one.actual),
                    "inside": one.inside,
                }
            )
    forecast = [one for step in facts.compared for one in step.measures if one.planned]
    inside = sum(one.inside for one in forecast)
    rested = "".join(
        f" That of {step.kind} rested on {step.rests_on.removeprefix('on ')}."
        for step in facts.compared
        if step.rests_on and any(one.name == "requests" for one in step.measures)
    )
    return {
        "rows": rows if forecast else [],
        "sentence": f"{inside} of {len(forecast)} figures lay between P10 and P90, where 8 of 10 should.{rested}",
    }


def _whole(value: float) -> str:
    return f"{value:,.0f}"


_SPELLED: Mapping[str, Callable[[float], str]] = {
    "minutes": lambda value: f"{value:.1f}" if value >= 1 else f"{value:.2f}",
    "dollars": lambda value: _dollars(round(value)),
}


def _curve_sentence(facts: Facts) -> str:
    tuned = facts.curves.get("tuned", ())
    if not tuned:
        return ""
    control = (
        (
            " The dashed line is the control: the same steps on the same rows, answers shuffled among the "
            "instructions."
        )
        if facts.curves.get("control")
        else ""
    )
    return f"{len(tuned)} logged steps, from {tuned[0][1]:.2f} to {tuned[-1][1]:.2f}.{control}"


def _provenance(facts: Facts) -> Iterator[tuple[str, str]]:
    yield "recipe", facts.recipe
    if facts.run.get("run"):
        yield "run", str(facts.run["run"])
    if facts.run.get("overrides"):
        pairs = (override.partition("=") for override in facts.run["overrides"])
        yield (
            "overrides",
            " ".join(f"{name}{sign}{_names_only(value)}" for name, sign, value in pairs),
        )
    for step in facts.steps:
        if step.folder:
            yield step.kind, step.folder
    if machine := facts.machine:
        yield (
            "machine",
            ", ".join(
                f"{machine[name]}{unit}"
                for name, unit in (("system", ""), ("arch", ""), ("cores", " cores"))
                if machine.get(name)
            ),
        )
        versions = {"python": machine.get("python"), **(machine.get("versions") or {})}
        yield (
            "versions",
            ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        )
