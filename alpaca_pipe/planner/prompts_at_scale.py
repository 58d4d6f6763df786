"""`alpaca-pipe plan prompts count=52m rows=1m`: so many prompts as a simulation that runs, and what follows for all of them.

An imagined teacher's rows go through the real search for duplicates (here, or on Ray) and its requests through a real ledger in a
folder of its own; three sizes say how rows and seconds grow, and how wrong such a rule was at the largest of them.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.screen import echo, echo_json
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.planner.imagined_rows import ImaginedRows
from alpaca_pipe.planner.plan_keys import keys, size

_KEYS: dict[str, float | str | None] = {
    "count": 52e6,
    "rows": 250e3,
    "engine": "local",
    "spread": 1.35,
    "tasks": 12.0,
    "tokens_in": 640.0,
    "tokens_out": 900.0,
    "model": "gpt-6-luna",
    "seed": 42.0,
}
_PARTS = (9, 3, 1)  # the sizes: a ninth, a third, all
_COMPILED_FROM = 20_000  # rows from which the search is compiled (curate/dedup.py): fewer of them say nothing of its seconds
_ENDS = 0.05  # of the power: below it ten times the rows bring an eighth more at most
_LIKENESS = Decimal("0.7")
_IN_FLIGHT = 256  # attempts that the ledger is given together


@dataclass(frozen=True)
class Measured:
    """rows: candidates; kept: of them; seconds: of the processor in this process, and of the clock, for the search alone."""

    rows: int
    kept: int
    seconds: float
    clock: float


@dataclass(frozen=True)
class GrowthRule:
    """value = factor x rows ^ power. wrong: by which factor it missed the largest size when it was drawn from the smaller ones."""

    factor: float
    power: float
    wrong: float
    largest: float

    def at(self, rows: float) -> float:
        return float(self.factor * rows**self.power)

    def around(self, rows: float) -> tuple[float, float, float]:
        """(low, middle, high): the miss over a factor of three in size, again for each factor of three beyond the largest."""
        times = max(1.0, math.log(rows / self.largest, 3))
        spread = self.wrong**times
        return self.at(rows) / spread, self.at(rows), self.at(rows) * spread


def rule_of(points: Sequence[tuple[float, float]]) -> GrowthRule:
    """Through the two largest of three sizes."""
    (a, x), (b, y), (c, z) = points
    power = math.log(z / y) / math.log(c / b)
    before = math.log(y / x) / math.log(b / a)
    missed = y * (c / b) ** before / z
    return GrowthRule(z / c**power, power, max(missed, 1 / missed), c)


def search(rows: ImaginedRows, engine: str) -> Measured:
    """The real one: curate's, by the 0.7 rule on the instruction, without filters."""
    from alpaca_pipe.curate.config import Duplicates
    from alpaca_pipe.curate.pipeline import judged
    from alpaca_pipe.curate.rules import CurationRules

    duplicates = Duplicates(on="instruction")
    rules = CurationRules(
        (), False, _LIKENESS, "rouge", duplicates, "ray" if engine == "ray" else "local"
    )
    began, busy = time.perf_counter(), time.process_time()
    found = judged(rows, rules)
    dropped = sum(len(group.others) for group in found.groups)
    return Measured(
        rows.count,
        rows.count - dropped,
        time.process_time() - busy,
        time.perf_counter() - began,
    )


def book(
    requests: int,
    tokens: tuple[int, int],
    model: str,
    file: Path,
    clock: Callable[[], float] = time.process_time,
) -> tuple[int, float]:
    """(nano-dollars settled, seconds of the processor for one request): each reserved and settled in a real ledger."""
    from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
    from alpaca_pipe.ledger.budget import Caps
    from alpaca_pipe.ledger.entries import Attempt
    from alpaca_pipe.ledger.pricing.token_prices import price_of
    from alpaca_pipe.ledger.store.journal import Journal

    price, usage = price_of(model, today()), Usage(tokens[0], 0, 0, tokens[1])
    request = Request((PromptMessage("user", "so many tasks"),), {"max_tokens": tokens[1]})
    ceiling, cost = price.worst(*tokens), price.cost(usage)
    busy = clock()
    with Journal.open(file) as journal:
        numbers = iter(range(requests))
        while some := list(islice(numbers, _IN_FLIGHT)):
            opened = [
                journal.reserve(
                    f"r1-{one:032x}",
                    ceiling,
                    price,
                    Caps(),
                    recipe="prompts",
                    run="1",
                    stage="generate",
                )
                for one in some
            ]
            settled: list[Future[Completion]] = []
            for future in opened:
                attempt = future.result()
                assert isinstance(attempt, Attempt)
                reply = Completion("tasks", "stop", usage, model_said=model)
                settled.append(
                    journal.settle(attempt, reply, cost, request=request, teacher={"model": model})
                )
            for done in settled:
                done.result()
        total = journal.totals()
    if total.settled != requests * cost:
        raise AssertionError(f"the ledger holds {total.settled}, and {requests * cost} were paid")
    return int(total.settled), (clock() - busy) / requests


def print_prompts(
    words: Sequence[str], as_json: bool = False, say: Callable[[str], None] = echo
) -> None:
    """KEY=VALUE: count, rows (simulated), engine (local, ray), spread, tasks (a request), tokens_in, tokens_out, model, seed."""
    said: dict[str, Any] = dict(keys(words, _KEYS, "prompts"))
    rows, count = int(said["rows"]), said["count"]
    if said["engine"] not in ("local", "ray"):
        raise UserError(f"plan prompts: no engine '{said['engine']}'", "take local or ray")
    if rows < 1600 or count < rows:
        raise UserError(
            f"plan prompts: {rows:,} rows say nothing of {count:,.0f} prompts",
            "simulate at least 1,600 rows, and not more than count",
        )
    if not 1.05 <= said["spread"] <= 10:
        raise UserError(
            f"plan prompts: spread is from 1.05 to 10, and {said['spread']:g} is said",
            "1.35 is a usual one; higher repeats sooner",
        )
    if said["tasks"] < 1 or not all(1 <= said[f"tokens_{way}"] <= 1e6 for way in ("in", "out")):
        raise UserError(
            "plan prompts: a request asks for a task at least, and has 1 to a million tokens in and out",
            "tasks=12 tokens_in=640 tokens_out=900 are usual",
        )
    if rows >= _COMPILED_FROM * _PARTS[0]:  # once, before it is timed
        search(ImaginedRows(_COMPILED_FROM, said["spread"], 0), said["engine"])
    points = []
    for part in _PARTS:
        imagined = ImaginedRows(rows // part, said["spread"], int(said["seed"]))
        points.append(search(imagined, said["engine"]))
        if not as_json:
            last = points[-1]
            say(f"{last.rows:>12,} rows: {last.kept:,} new, {last.seconds:.1f} s of the processor")
    requests = math.ceil(rows / said["tasks"])
    tokens = (int(said["tokens_in"]), int(said["tokens_out"]))
    with tempfile.TemporaryDirectory() as folder:
        paid, each = book(requests, tokens, said["model"], Path(folder) / "ledger.sqlite")
    kept = rule_of([(one.rows, one.kept) for one in points])
    seconds = rule_of([(one.rows, one.seconds) for one in points])
    dollars = paid / NANO / requests * math.ceil(count / said["tasks"])
    if as_json:
        echo_json(
            {
                "measured": [one.__dict__ for one in points],
                "kept": kept.__dict__ | {"all": kept.around(count)},
                "seconds": seconds.__dict__ | {"all": seconds.around(count)},
                "dollars": dollars,
                "ledger_ms": each * 1000,
            }
        )
        return
    for line in _conclusions(count, said, points, kept, seconds, dollars, each):
        say(line)


def _conclusions(
    count: float,
    said: dict[str, Any],
    points: Sequence[Measured],
    kept: GrowthRule,
    seconds: GrowthRule,
    dollars: float,
    each: float,
) -> Iterator[str]:
    low, middle, high = kept.around(count)
    yield (
        f"new rows grow as rows^{kept.power:.3f}; drawn from the smaller sizes that missed the largest by {kept.wrong - 1:.1%}"
    )
    yield (
        f"{size(count)} prompts' rows: {size(middle)} new ({size(low)} to {size(min(high, count))}), {middle / count:.0%} of them; "
        f"of the last {points[-1].rows:,} simulated {points[-1].kept / points[-1].rows:.0%}"
    )
    if kept.power < _ENDS:
        yield f"{size(count)} new rows would not come, however many are asked for: ideas run out"
    else:
        wanted = (count / kept.factor) ** (1 / kept.power)
        yield f"{size(count)} new rows would take {size(wanted)} rows, {wanted / count:.2g} times as many"
    low, middle, high = seconds.around(count)
    if points[0].rows < _COMPILED_FROM:
        yield f"the search: its seconds grow otherwise below {_COMPILED_FROM:,} rows; simulate {_COMPILED_FROM * _PARTS[0]:,} (rows=180k)"
    elif said["engine"] == "ray":
        yield "the search: on Ray other processes do it, whose seconds are not counted here: see docs/measured.md"
    else:
        yield (
            f"the search: {middle / 3600:.1f} h of a processor ({low / 3600:.1f} to {high / 3600:.1f}), growing as "
            f"rows^{seconds.power:.2f}; engine=ray spreads it over machines"
        )
    asked = math.ceil(count / said["tasks"])
    yield (
        f"the ledger: {size(asked)} requests of {said['tasks']:g} tasks, {each * 1000:.2f} ms of the processor each, {each * asked / 3600:.1f} h; "
        f"${dollars:,.0f} to {said['model']} by today's price"
    )
    yield (
        f"rests on: ideas drawn by a power law of exponent {said['spread']:g}, an assumption; the search and the ledger are the ones that "
        "a run uses"
    )
