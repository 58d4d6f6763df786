"""How many rows so few passages or seeds give at most, in words: a forecast that knows it does not promise more."""

from __future__ import annotations

from alpaca_pipe.generate.forecast.posterior import ImaginedTeacher
from alpaca_pipe.generate.forecast.simulation import Forecast, Workload
from alpaca_pipe.generate.round_stats import RoundStats

_MANY = 1e9  # rows: as good as no end
_LIKELY = 0.5


def yielded(
    order: Workload, teachers: ImaginedTeacher, had: RoundStats | None = None
) -> tuple[float, float]:
    """Rows when nothing new comes any more, however many are wanted: in the middle, and what is mostly not passed (P65):
    one teacher in three goes on and on."""
    seen = had or RoundStats(pool=order.known)
    begin = order.known + seen.new
    rows = []
    for pieces, readable, finished, saturation in zip(
        teachers.pieces, teachers.readable, teachers.finished, teachers.saturation, strict=True
    ):
        full = saturation.full(pieces * readable * finished, begin, _MANY, order.round_size)
        rows.append(seen.accepted + ((_MANY if full is None else full) - begin) * finished)
    middle, mostly = Forecast(rows=rows).quantiles("rows", (0.5, 0.65))
    return middle, mostly


def short_of(
    order: Workload,
    teachers: ImaginedTeacher,
    forecast: Forecast,
    had: RoundStats | None = None,
) -> str:
    """What is likely to be missing, as a clause; "" where nothing is."""
    share = forecast.stalled / len(forecast.rows)
    tenths = round(10 * share)
    if not tenths:
        return ""
    said = f"in {tenths} of 10 cases it ends with fewer rows than are wanted"
    if not order.sources:
        return said
    middle, mostly = yielded(order, teachers, had)
    of = f"{order.sources:,} {order.source_word}"
    if share >= _LIKELY and mostly < 2 * order.count:
        return (
            f"{of} mostly give no more than about {rounded(mostly):,} rows, and {order.count:,} are wanted "
            f"(about {rounded(middle):,} come)"
        )
    return f"{said}: {of} give about {rounded(middle):,}" if middle < _MANY / 10 else said


def rounded(value: float) -> int:
    """To two digits: nobody knows more."""
    digits: int = max(len(str(int(value))) - 2, 0)
    return int(round(value / 10**digits) * 10**digits)
