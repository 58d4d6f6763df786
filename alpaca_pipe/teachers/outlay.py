"""What so many short requests of one kind take, before any is sent: money, tokens, and time by the teacher's pace and its limits."""

from __future__ import annotations

from pathlib import Path

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.past_its_end import refuse_past_its_end

_BATCH_MINUTES = 60.0  # that a batch is waited for, however small


@dataclass(frozen=True)
class OutlaySpread:
    """How far each may lie off its middle, as a factor; dearer requests are also fewer, so money need not spread as tokens do."""

    requests: float = 1.15
    tokens_in: float = 1.6
    tokens_out: float = 1.6
    api: float = 1.6


@dataclass(frozen=True)
class Outlay:
    requests: Range
    tokens_in: Range
    tokens_out: Range
    api: Range  # nano-dollars
    minutes: Range


def outlay_of(
    teacher: TeacherTable,
    requests: float,
    each_in: float,
    each_out: float,
    ledger: Path | None,
    spread: OutlaySpread | None = None,
) -> Outlay:
    """each_in, each_out: tokens of a request and of its reply. UserError where the teacher has no price, or is past its end."""
    refuse_past_its_end(teacher, ledger)
    spread = spread or OutlaySpread()
    usage = Usage(uncached_in=round(each_in * 1000), visible_out=round(each_out * 1000))
    one = teacher.priced().cost(usage) / 1000
    return Outlay(
        Range.about(requests, spread.requests),
        Range.about(requests * each_in, spread.tokens_in),
        Range.about(requests * each_out, spread.tokens_out),
        Range.about(requests * one, spread.api) if one else Range.exactly(0),
        Range.about(_minutes(teacher, requests, each_in + each_out), 3),
    )


def _minutes(teacher: TeacherTable, requests: float, tokens: float) -> float:
    """As the slowest of its pace and its limits has it."""
    waits = [0.01, requests * teacher.expected_pace().grade / teacher.concurrency / 60]
    if teacher.requests_per_minute:
        waits.append(requests / teacher.requests_per_minute)
    if teacher.tokens_per_minute:
        waits.append(requests * tokens / teacher.tokens_per_minute)
    if teacher.by_batch and teacher.kind != "rehearsed":
        waits.append(_BATCH_MINUTES)
    return max(waits)
