"""`alpaca-pipe ledger`: what was spent, by recipe, stage and class, summing to the ledger's own total."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.journal import Journal
from alpaca_pipe.ledger.money import shown

Line = tuple[str, str, str]  # recipe, stage, class


def print_statement(path: Path) -> None:
    """One line for each recipe, stage and class; machine time in minutes."""
    if not path.exists():
        raise UserError(f"there is no ledger at {path}", "run a recipe first, or name the workspace with --runs")
    settled: dict[Line, int] = defaultdict(int)
    lost: dict[Line, int] = defaultdict(int)
    seconds: dict[Line, float] = defaultdict(float)
    replies: dict[Line, int] = defaultdict(int)
    with Journal.open(path, read_only=True) as journal:
        for entry in journal.entries():
            line: Line = (entry.recipe, entry.stage, entry.class_)
            settled[line] += entry.nanodollars if entry.kind in ("settled", "reconciled", "correction") else 0
            lost[line] += entry.nanodollars if entry.kind == "lost" else 0
            lost[line] -= entry.frees if entry.kind == "reconciled" else 0
            seconds[line] += entry.usage.get("seconds", 0.0)
            replies[line] += entry.kind == "settled" and entry.class_ == "api"
        total = journal.totals()
    print(f"{'recipe':<20} {'stage':<10} {'class':<8} {'settled':>12} {'lost':>10}")
    for line in sorted(settled):
        what = f"{replies[line]} replies" if replies[line] else f"{seconds[line] / 60:.1f} min" if seconds[line] else ""
        print(f"{line[0]:<20} {line[1]:<10} {line[2]:<8} {shown(settled[line]):>12} {shown(lost[line]):>10}  {what}")
    print(f"{'in all':<40} {shown(total.settled):>12} {shown(total.lost):>10}  {shown(total.open)} reserved")
    if (sum(settled.values()), sum(lost.values())) != (total.settled, total.lost):
        raise UserError(f"{path}: the lines do not sum to the ledger's balance", "keep the file and report this")
