"""What a comparison will cost, before anything is sent, and the cap that it gets where none is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.curate.grading.config import Grading, outlay
from alpaca_pipe.generate.forecast.posterior import ImaginedTeacher
from alpaca_pipe.generate.forecast.simulation import Workload, imagine
from alpaca_pipe.generate.forecast.workload import order_of, prior_of
from alpaca_pipe.generate.loop import Generation
from alpaca_pipe.generate.replay.replay import StoredTeacher
from alpaca_pipe.ledger.budget import ceiling_of
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.teacher_comparison.asking import ComparisonSetup, generation_of
from alpaca_pipe.teacher_comparison.entrants import Entrant

_CENT = NANO // 100
_LETTERS = (
    400  # of an instruction, and of an output: rather more than usual, for the ceiling of a grade
)


@dataclass(frozen=True)
class Priced:
    """One entrant. stored: prompts whose replies are here; the ranges are of the others. dollars: nano-dollars; ceiling: what is
    reserved for what is in flight."""

    name: str
    stored: int
    requests: Range
    dollars: Range
    ceiling: float
    rows: float


@dataclass(frozen=True)
class ComparisonForecast:
    """judge: nano-dollars; judge_ceiling: what is reserved for its requests in flight; spent: by this comparison before."""

    entrants: tuple[Priced, ...]
    judge: Range
    judged: bool
    judge_ceiling: float = 0.0
    spent: int = 0

    @property
    def dollars(self) -> Range:
        return sum((one.dollars for one in self.entrants), self.judge)

    @property
    def cap(self) -> int:
        """What was spent, the P90 of the rest, and what is reserved for requests in flight, in whole cents: what a comparison
        gets where none is named."""
        in_flight = max([self.judge_ceiling, *(one.ceiling for one in self.entrants)])
        return ceil((self.spent + self.dollars.p90 + in_flight) / _CENT) * _CENT


def price(
    terms: ComparisonSetup,
    entrants: Sequence[Entrant],
    before: Sequence[Generation | None],
    judge: Grading | None,
    spent: int = 0,
) -> ComparisonForecast:
    """before: what is stored of each; spent: nano-dollars, by this comparison. Raises UserError for what is wrong already: no price, no seeds."""
    found = tuple(
        _priced(terms, entrant, have) for entrant, have in zip(entrants, before, strict=True)
    )
    rows = sum(one.rows for one in found)
    if judge is None:
        return ComparisonForecast(found, NOTHING, False, spent=spent)
    table = judge.asked_of(None)
    usual = judge.request(
        Example.of("i" * _LETTERS, "", "o" * _LETTERS, Origin("generated")), table.takes
    )
    return ComparisonForecast(
        found,
        outlay(judge, None, ceil(rows)).api,
        True,
        ceiling_of(usual, table.priced()) * table.concurrency,
        spent,
    )


def _priced(terms: ComparisonSetup, entrant: Entrant, before: Generation | None) -> Priced:
    teacher = entrant.teacher
    generation = before or generation_of(terms, entrant, _Nobody(teacher.takes))
    order = order_of(
        generation.seating, teacher, teacher.priced(), len(generation.pool), generation.limits
    )
    prompts = min(terms.prompts, order.max_requests or terms.prompts)
    have = len(before.seats) if before else 0
    known = imagine(prior_of(generation.style, teacher), order)
    figures = [
        _figures(known, order, place, max(prompts - have, 0)) for place in range(len(known.pieces))
    ]
    lanes = min(teacher.concurrency, prompts)
    return Priced(
        entrant.name,
        have,
        _range([one[0] for one in figures]),
        _range([one[1] for one in figures]),
        order.ceiling * lanes if have < prompts else 0.0,
        sum(known.pieces) / len(known.pieces) * prompts,
    )


def _figures(
    known: ImaginedTeacher, order: Workload, place: int, prompts: int
) -> tuple[float, float]:
    """(requests, nano-dollars) of one imagined teacher."""
    answers = prompts * order.follows * known.pieces[place] * known.readable[place]
    tokens_in = prompts * known.in_first[place] + answers * known.in_answer[place]
    tokens_out = prompts * known.out_first[place] + answers * known.out_answer[place]
    lost = known.lost[place] * (prompts + answers)
    return prompts + answers, tokens_in * order.price[0] + tokens_out * order.price[
        1
    ] + lost * order.ceiling


def _range(values: Sequence[float]) -> Range:
    ordered = sorted(values)
    return Range(*(ordered[round(share * (len(ordered) - 1))] for share in (0.1, 0.5, 0.9)))


class _Nobody(StoredTeacher):
    """Takes what the teacher would take, where there is no ledger to look into."""

    def __init__(self, takes: frozenset[str]) -> None:
        self.identity, self.takes = {}, takes
