"""`alpaca-pipe ledger`: what was spent, for people and as JSON, summing to the ledger's own balances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.budget_shares import BudgetShare, share_of
from alpaca_pipe.ledger.machine.energy import drawn
from alpaca_pipe.ledger.money import exactly, shown
from alpaca_pipe.ledger.statements.price_doubts import price_doubts
from alpaca_pipe.ledger.statements.simulated import simulated, simulated_line
from alpaca_pipe.ledger.statements.sums import By, StatementLine, Sums, sums
from alpaca_pipe.ledger.store.journal import Journal

_TOKENS = {
    "uncached_in": "in",
    "cache_read": "in cached",
    "cache_write": "cache writes",
    "visible_out": "out",
    "reasoning_out": "reasoning",
}


def print_statement(
    path: Path, recipe: str | None = None, by: By | None = None, as_json: bool = False
) -> None:
    """What a recipe, or all of a workspace, has cost. Raises UserError: no ledger, no such recipe, sums that differ."""
    if not path.exists():
        raise UserError(
            f"there is no ledger at {path}", "run a recipe first, or name the workspace with --runs"
        )
    with Journal.open(path, read_only=True) as journal:
        found = sums(journal, by, recipe)
        with journal.read() as db:
            lent, came = (
                budget_shares.out(db, recipe),
                budget_shares.received(db, recipe) if recipe else [],
            )
            doubts, scripted = price_doubts(db, recipe), simulated(db, recipe)
    if as_json:
        echo_json(
            to_json(found)
            | {
                "shares": [asdict(share) for share in lent],
                "price_doubts": doubts,
                "simulated_nanodollars": scripted,
            }
        )
    else:
        echo(
            "\n".join(
                [*to_text(found), *simulated_line(scripted), *_of_shares(lent, came), *doubts]
            )
        )


def _of_shares(lent: Sequence[BudgetShare], came: Sequence[Mapping[str, Any]]) -> list[str]:
    """What other machines may spend of this budget, and what this one may spend of theirs."""
    return [
        *(
            f"lent with {Path(share.file).name}: {share.says()}, until its results are unpacked (or `alpaca-pipe unpack {share.id} "
            "--give-up`)"
            for share in lent
        ),
        *(
            f"came with {share['file']}: {share_of(share).says()}{', gone back with the results' if share['closed'] else ''}"
            for share in came
        ),
    ]


def to_json(found: Sums) -> dict[str, Any]:
    """Exact: integers of nano-dollars, and the same as decimal dollars in a string."""
    return {
        "by": list(found.columns),
        "lines": [
            dict(zip(found.columns, key, strict=True)) | _plain(line)
            for key, line in found.lines.items()
        ],
        "total": _plain(found.total),
        "anomalies": {
            "count": found.anomalies,
            "last": [asdict(anomaly) for anomaly in found.last_anomalies],
        },
    }


def to_text(found: Sums) -> list[str]:
    """A table with the columns that say something, and what was odd."""
    of_tokens = "model" in found.columns
    head, first = [*found.columns, *_columns(found.total, of_tokens)], len(found.columns)
    rows = [[*key, *_columns(line, of_tokens).values()] for key, line in found.lines.items()]
    rows.append(["in all", *[""] * (first - 1), *_columns(found.total, of_tokens).values()])
    said = [
        place for place in range(len(head)) if place < first + 2 or any(row[place] for row in rows)
    ]
    text = aligned([[row[place] for place in said] for row in (head, *rows)], left=first)
    if found.total.kwh:
        text.append(drawn(found.total.kwh, found.total.kwh_measured, found.total.kg_co2e))
    if found.anomalies:
        text.append(f"{found.anomalies} anomal{'y' if found.anomalies == 1 else 'ies'}; the last:")
        text += [
            f"  {odd.at[:19]} {odd.recipe} {odd.stage}: {odd.note}" for odd in found.last_anomalies
        ]
    return text


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Rows under each other; the first `left` columns begin together, the others end together."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _columns(line: StatementLine, of_tokens: bool) -> dict[str, str]:
    """Cells of a line; empty where there is nothing to say."""
    cells = {
        "settled": shown(line.settled),
        "lost": shown(line.lost),
        "open": shown(line.open - line.lent) if line.open > line.lent else "",
        "lent": shown(line.lent) if line.lent else "",
        "answered": f"{line.requests:,}" if line.attempts else "",
        "sent": f"{line.attempts:,}" if line.attempts else "",
        "wasted": f"{line.wasted:.1%}" if line.wasted else "",
    }
    if of_tokens:
        cells |= {
            f"tokens {name}": f"{getattr(line.tokens, class_):,}"
            if getattr(line.tokens, class_)
            else ""
            for class_, name in _TOKENS.items()
        }
    each, million = unit_costs(line)
    return cells | {
        "for 1,000 requests": shown(each) if each else "",
        "for 1M tokens out": shown(million) if million else "",
        "time": _duration(line.seconds),
        "kWh": f"{line.kwh:,.3f}" if line.kwh else "",
        "kg CO2e": f"{line.kg_co2e:,.3f}" if line.kg_co2e else "",
    }


def unit_costs(line: StatementLine) -> tuple[int | None, int | None]:
    """Nano-dollars for a thousand answered requests, and for a million tokens that came back; None where there were
    none. With what was lost: it was spent on them too."""
    out = line.tokens.tokens_out
    return (
        round(Fraction(line.asked * 1000, line.requests)) if line.requests else None,
        round(Fraction(line.asked * 1_000_000, out)) if out else None,
    )


def _duration(seconds: float) -> str:
    if not seconds:
        return ""
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _plain(line: StatementLine) -> dict[str, Any]:
    each, million = unit_costs(line)
    amounts = {
        "settled": line.settled,
        "lost": line.lost,
        "open": line.open,
        "lent": line.lent,
        "unheard": line.unheard,
        "again": line.again,
        "thousand_requests": each,
        "million_tokens_out": million,
    }
    return {
        "nanodollars": amounts,
        "dollars": {
            name: None if amount is None else exactly(amount) for name, amount in amounts.items()
        },
        "requests": line.requests,
        "attempts": line.attempts,
        "tokens": asdict(line.tokens),
        "seconds": round(line.seconds, 3),
        "kwh": round(line.kwh, 6),
        "kwh_measured": round(line.kwh_measured, 6),
        "kg_co2e": round(line.kg_co2e, 6),
        "wasted": line.wasted,
    }
