"""Forecast and actual side by side, step by step; and what one of everything has cost: a kept example, a million tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.report.bought import cost_of, keys_behind, paid_for
from alpaca_pipe.report.funnel import Funnel
from alpaca_pipe.report.run_files import RunFiles, StageFiles


@dataclass(frozen=True)
class Spent:
    """What a stage has spent by the ledger. api, machine: nano-dollars, settled and lost; again: of `api`, for requests that
    were billed without a reply of their own, or twice."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    api: int = 0
    lost: int = 0
    again: int = 0
    machine: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )


@dataclass(frozen=True)
class Measure:
    """One figure of one step. planned: P10, P50, P90, or None where it was not forecast."""

    name: str
    planned: tuple[float, float, float] | None
    actual: float

    @property
    def inside(self) -> bool:
        """Within what was planned, from P10 to P90."""
        return self.planned is None or self.planned[0] <= self.actual <= self.planned[2]


@dataclass(frozen=True)
class StepComparison:
    kind: str
    rests_on: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Costs:
    """Nano-dollars for one of each; None where that is not known. wasted: name -> share of what the teacher was paid."""

    kept_example: float | None = None
    trained_million: float | None = None
    wasted: Mapping[str, float] = field(default_factory=dict)


def spent(found: RunFiles) -> Mapping[tuple[str, str], Spent]:
    """(run, stage) -> what the ledger says; empty where there is no ledger. Raises UserError where it cannot be read."""
    if not found.ledger.is_file():
        return {}
    answer: dict[tuple[str, str], Spent] = {}
    with Journal.open(found.ledger, read_only=True) as journal, journal.read() as db:
        for run, stage, *row in db.execute(_SPENT, (found.recipe,)):
            answer[run, stage] = Spent(*(value or 0 for value in row))
    return answer


_SPENT = """WITH first AS (SELECT request, MIN(id) AS id FROM entries WHERE kind = 'settled' AND class = 'api' GROUP BY request)
    SELECT run, stage, SUM(e.kind = 'settled' AND class = 'api'),
      SUM(iif(class = 'api', json_extract(usage, '$.uncached_in') + json_extract(usage, '$.cache_read')
              + json_extract(usage, '$.cache_write'), 0)),
      SUM(iif(class = 'api', json_extract(usage, '$.visible_out') + json_extract(usage, '$.reasoning_out'), 0)),
      SUM(iif(class = 'api', amount, 0)), SUM(iif(class = 'api', lost, 0)),
      SUM(iif(class = 'api' AND (kind = 'reconciled' OR kind = 'settled' AND first.id IS NOT e.id), nanodollars, 0)),
      SUM(iif(class IN ('gpu', 'machine'), amount, 0))
    FROM (SELECT *, CASE kind WHEN 'settled' THEN nanodollars WHEN 'reconciled' THEN nanodollars - frees
                    WHEN 'correction' THEN nanodollars WHEN 'lost' THEN nanodollars ELSE 0 END AS amount,
                 CASE kind WHEN 'lost' THEN nanodollars WHEN 'reconciled' THEN -frees ELSE 0 END AS lost FROM entries) AS e
    LEFT JOIN first ON first.request = e.request WHERE recipe = ? GROUP BY run, stage"""


def compared(found: RunFiles, books: Mapping[tuple[str, str], Spent]) -> tuple[StepComparison, ...]:
    """Of each sealed step, in the run that sealed it."""
    return tuple(
        _compared(step, books.get((str(step.done.get("run", "")), step.kind), Spent()))
        for step in found.steps.values()
        if step.sealed
    )


def planned_minutes(step: StageFiles) -> float | None:
    """The middle of what was planned; steps that were sealed by the first versions keep that alone."""
    range_ = _range(step, "minutes")
    return range_[1] if range_ else step.done.get("planned_minutes")


def _compared(step: StageFiles, was: Spent) -> StepComparison:
    money, rows = (_range(step, "api"), _range(step, "gpu")), _range(step, "rows")
    summary = step.done["summary"]
    made = summary.get("accepted", summary.get("pairs", 0)) if rows and rows[2] else 0
    dollars = None
    if money[0] and money[1]:
        dollars = money[0][0] + money[1][0], money[0][1] + money[1][1], money[0][2] + money[1][2]
    figures = (
        Measure("minutes", _range(step, "minutes"), step.done.get("seconds", 0.0) / 60),
        Measure("requests", _range(step, "requests"), was.requests),
        Measure("tokens in", _range(step, "tokens_in"), was.tokens_in),
        Measure("tokens out", _range(step, "tokens_out"), was.tokens_out),
        Measure("rows", rows, made),
        Measure("dollars", dollars, was.api + was.machine),
    )
    return StepComparison(
        step.kind,
        str((step.done.get("planned") or {}).get("rests_on", "")),
        tuple(one for one in figures if one.actual or (one.planned and one.planned[2])),
    )


def _range(step: StageFiles, name: str) -> tuple[float, float, float] | None:
    found = (step.done.get("planned") or {}).get(name)
    return (
        (float(found[0]), float(found[1]), float(found[2])) if found and len(found) == 3 else None
    )


def costs(found: RunFiles, books: Mapping[tuple[str, str], Spent], rows: Funnel) -> Costs:
    """kept_example, wasted: of the requests behind this run's rows, whichever run bought them, as `compare` has it; the million
    trained tokens over all runs of the recipe."""
    asked = sum((each for (_, stage), each in books.items() if stage == "generate"), Spent())
    tuned = sum(each.machine for (_, stage), each in books.items() if stage == "train")
    tokens = _trained_tokens(found.step("train"))
    return Costs(
        _a_kept_example(found, asked, rows.last) if books else None,
        tuned / tokens * 1e6 if tuned and tokens else None,
        dict(_wasted(asked, rows, found)) if books else {},
    )


def _a_kept_example(found: RunFiles, asked: Spent, kept: int) -> float | None:
    """Nano-dollars; where the prompts of the run are not there, of all that generate has paid."""
    paid = asked.api
    if keys := keys_behind(found):
        with Journal.open(found.ledger, read_only=True) as journal, journal.read() as db:
            paid = cost_of(db, keys)
    return paid / kept if paid and kept else None


def _wasted(asked: Spent, rows: Funnel, found: RunFiles) -> Iterator[tuple[str, float]]:
    """Shares of what was paid for the prompts of this run; where they are not there, of all that generate has paid."""
    if keys := [key for seat in found.step("generate").rows("seats.jsonl") for key in seat["keys"]]:
        with Journal.open(found.ledger, read_only=True) as journal, journal.read() as db:
            paid, lost, again = paid_for(db, list(dict.fromkeys(keys)))
        asked = Spent(api=paid, lost=lost, again=again)
    if not asked.api:
        return
    if asked.lost:
        yield "lost", asked.lost / asked.api
    if asked.again:
        yield "retried", asked.again / asked.api
    if rows.first and (kept := _kept_of_paid(found, rows)) < 1:
        good = 1 - (asked.lost + asked.again) / asked.api
        yield "rejected", good * (1 - kept)


def _kept_of_paid(found: RunFiles, rows: Funnel) -> float:
    """Of the money that replies cost, the share that rows came of: a prompt's money is divided among its pieces, and a refusal
    that cost nothing wastes nothing. By pieces alone where the prompts of the run are not there (curate.from)."""
    by_pieces = rows.last / rows.first if rows.first else 1.0
    if not rows.stretches or rows.stretches[0].kind != "generate":
        return by_pieces
    prices, paid, kept = _prices(found), 0, 0.0
    for seat in found.step("generate").rows("seats.jsonl"):
        cost = sum(prices.get(key, 0) for key in seat["keys"])
        paid += cost
        kept += cost * seat["accepted"] / seat["pieces"] if seat["pieces"] else 0
    accepted = rows.stretches[0].kept
    return kept / paid * rows.last / accepted if paid and accepted else by_pieces


def _prices(found: RunFiles) -> Mapping[str, int]:
    """Nano-dollars of each stored reply, whichever run bought it."""
    with Journal.open(found.ledger, read_only=True) as journal, journal.read() as db:
        return dict(db.execute(_PRICES).fetchall())


_PRICES = """SELECT request, SUM(nanodollars) FROM entries WHERE class = 'api' AND kind IN ('settled', 'correction')
    GROUP BY request"""


def _trained_tokens(train: StageFiles) -> int:
    """Of all tunes, each pass over a row counted."""
    last = {
        str(row.get("which", "tuned")): int(row.get("tokens", 0))
        for row in train.rows("loss.jsonl")
    }
    return sum(last.values())


def unit_costs(costs: Costs) -> Iterator[str]:
    """What is known of them, in words."""
    if costs.kept_example:
        yield f"{shown(round(costs.kept_example))} for each kept example"
    if costs.wasted:
        parts = ", ".join(f"{name} {share:.1%}" for name, share in costs.wasted.items())
        yield f"{sum(costs.wasted.values()):.1%} of what the teacher was paid brought no row ({parts})"
    if costs.trained_million:
        yield f"{shown(round(costs.trained_million))} for a million trained tokens"


def gathered(found: RunFiles, rows: Funnel) -> tuple[tuple[StepComparison, ...], Costs]:
    """Both, and no money where the ledger cannot be read: what is wrong with it is said elsewhere."""
    try:
        books = spent(found)
    except UserError:
        books = {}
    return compared(found, books), costs(found, books, rows)
