"""What generation will take, before it begins and while it runs: a simulation of many teachers that may be ours.

Each imagined teacher (posterior.py) plays the rest of the run once: prompts in whole rounds until enough rows are
accepted, fewer of them new as the pool grows, the requests for answers, tokens, lost attempts at their ceiling, a stall, a limit
of requests. What spreads the answers most is that we do not know the teacher; chance within a run is added on top, as
normal approximations. No run of ours is random in the forecast: the same question gives the same figures.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import field, replace
from math import ceil, exp, hypot, log, sqrt
from random import Random
from statistics import median

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.generate.forecast.posterior import ImaginedTeacher
from alpaca_pipe.generate.forecast.saturation import Saturation
from alpaca_pipe.generate.prior import STEADY, LogNormal, Prior, RoundVariation
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.generate.stop_rules import STALL_ROUNDS

DRAWS = 400
_MIDDLE = 0.5
_FIFTHS = (
    -1.2816,
    -0.5244,
    0.0,
    0.5244,
    1.2816,
)  # where a normal figure stands in each fifth of the cases


@dataclass(frozen=True)
class RequestTiming:
    """How long a request takes. seconds: before a reply begins; speed: its tokens a second; lanes: asked at once;
    shared: one machine's speed is divided among the lanes.  start: seconds before the first request."""

    seconds: LogNormal
    speed: LogNormal
    lanes: int
    shared: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    start: float = 0.5


@dataclass(frozen=True)
class Workload:
    """What is asked for. letters: of the prompts on average, a first one and one for an answer; around: tokens that
    every prompt has besides; limits: of tokens out, for the same two.  price: nano-dollars a token, in and out; ceiling: what a
    lost attempt counts.  swing: of its rounds.  known: instructions before the first row.  tasks: asked for in a seat;
    follows: requests for each of them after the first reply.  sources: passages, or seeds and topics, that its ideas
    come from, and what they are called; 0 where they do not run out."""

    count: int
    round_size: int
    tasks: int
    follows: int
    max_requests: int | None
    known: int
    letters: tuple[float, float]
    around: tuple[float, float]
    limits: tuple[int, int]
    price: tuple[float, float]
    ceiling: float
    pace: RequestTiming
    swing: RoundVariation = STEADY
    sources: int = 0
    source_word: str = "passages"


@dataclass(frozen=True)
class Forecast:
    """One item for each imagined teacher. dollars: nano-dollars.  rows: accepted when it ends.  stalled: ends with
    fewer than wanted."""

    requests: list[float] = field(default_factory=list)
    tokens_in: list[float] = field(default_factory=list)
    tokens_out: list[float] = field(default_factory=list)
    dollars: list[float] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    stalled: int = 0

    def range(self, name: str) -> Range:
        """P10, P50 and P90 of one figure."""
        return Range(*self.quantiles(name, (0.1, 0.5, 0.9)))

    def quantiles(self, name: str, shares: Sequence[float]) -> list[float]:
        """The values between which so many teachers lie. Requests come in whole rounds and many teachers share a value: an end
        lies on the value whose middle is nearest inside (mid-quantiles, Parzen 2004), so that 8 of 10 are not 9."""
        ordered = sorted(getattr(self, name))
        values = sorted(set(ordered))
        middles = [
            (bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 / len(ordered)
            for value in values
        ]
        found = []
        for share in shares:
            if share == _MIDDLE:
                found.append(median(ordered))
            elif share < _MIDDLE:
                found.append(values[bisect_left(middles, share)])
            else:
                found.append(values[bisect_right(middles, share) - 1])
        return found

    def less(self, requests: int) -> Forecast:
        """Without so many requests that are stored already and free."""
        left = [max(whole - requests, 0) / whole if whole else 0.0 for whole in self.requests]

        def cut(figures: list[float]) -> list[float]:
            return [figure * share for figure, share in zip(figures, left, strict=True)]

        return Forecast(
            cut(self.requests),
            cut(self.tokens_in),
            cut(self.tokens_out),
            cut(self.dollars),
            cut(self.minutes),
            self.rows,
            self.stalled,
        )


def imagine(prior: Prior, order: Workload, draws: int = DRAWS) -> ImaginedTeacher:
    """Teachers as the prior knows them, each with its own means for this order."""
    chances = {
        name: Random(f"forecast {name}")
        for name in (
            "letters",
            "out",
            "answer",
            "thinks",
            "pieces",
            "readable",
            "finished",
            "hazard",
            "bend",
            "ideas",
            "lost",
            "seconds",
            "speed",
        )
    }
    made = ImaginedTeacher([], [], [], [], [], [], [], [], [], [])
    for _ in range(draws):
        letters = prior.letters.draw(chances["letters"])
        out, answer = (
            prior.out.draw(chances["out"]) * order.tasks,
            prior.out_answer.draw(chances["answer"]),
        )
        thinks = prior.thinks.draw(chances["thinks"]) if prior.thinks else 0.0
        first, whole = whole_within(thinks, out, prior.out_spread, order.limits[0], order.tasks)
        second, done = whole_within(thinks, answer, prior.out_spread, order.limits[1], 1)
        made.in_first.append(order.letters[0] / letters + order.around[0])
        made.in_answer.append(order.letters[1] / letters + order.around[1])
        made.out_first.append(first)
        made.out_answer.append(second)
        made.pieces.append(max(order.tasks * prior.pieces.draw(chances["pieces"]), 1.0))
        made.readable.append(_share(chances["readable"].gauss(*prior.readable)) * whole)
        made.finished.append(
            _share(chances["finished"].gauss(*prior.finished)) * done if order.follows else 1.0
        )
        made.saturation.append(
            Saturation(
                prior.hazard.draw(chances["hazard"]),
                prior.bend.draw(chances["bend"]),
                *prior.ideas.draw(order.sources, chances["ideas"]),
                known=order.known,
                passages=order.sources if order.source_word in ("passages", "rows") else 0,
            )
        )
        made.lost.append(chances["lost"].gammavariate(0.5, 2 * prior.lost) if prior.lost else 0.0)
        made.seconds.append(
            _seconds(
                order,
                order.pace.seconds.draw(chances["seconds"]),
                order.pace.speed.draw(chances["speed"]),
                first,
                second,
            )
        )
    return made


def _share(odds: float) -> float:
    return 1 / (1 + exp(-odds))


def whole_within(
    thinks: float, out: float, spread: float, limit: int, items: int
) -> tuple[float, float]:
    """Mean tokens of a reply that a limit may cut, and the share of its items that are whole."""
    tokens = whole = 0.0
    for step in _FIFTHS:
        thought, said = thinks * exp(0.6 * step), out * exp(spread * step - spread**2 / 2)
        tokens += min(thought + said, limit)
        whole += min(1.0, int(max(limit - thought, 0) / said * items) / items)
    return tokens / len(_FIFTHS), max(whole / len(_FIFTHS), 1e-3)


def _seconds(order: Workload, begins: float, speed: float, first: float, second: float) -> float:
    """Seconds for one request, when a round's are asked at once and its slowest is waited for."""
    pace, size = order.pace, order.round_size
    out = (first + second) / 2 if order.follows else first
    lanes = min(pace.lanes, size)
    if pace.shared:
        took = begins + out / speed  # of the whole machine, whatever the lanes
    else:
        slowest = exp(0.3 * sqrt(2 * log(lanes))) - 1 if lanes > 1 else 0.0
        took = (begins + out / speed) * (size / lanes + slowest) / size
    if pace.requests_per_minute:
        took = max(took, 60 / pace.requests_per_minute)
    if pace.tokens_per_minute:
        took = max(took, 60 * (out + order.letters[0] / 4) / pace.tokens_per_minute)
    return took


def foresee(
    order: Workload, teachers: ImaginedTeacher, before: RoundStats | None = None
) -> Forecast:
    """What the rest of the run takes. before: what has been asked in this run already, all of it in whole rounds."""
    had = before or RoundStats(pool=order.known)
    told = Forecast()
    stalled = 0
    chance = Random("forecast played")
    for number in range(len(teachers.in_first)):
        luck = [chance.gauss(0, 1) for _ in range(13)]
        stalled += _play(order, teachers, number, had, luck, told)
    return replace(told, stalled=stalled)


def _play(
    order: Workload,
    teachers: ImaginedTeacher,
    i: int,
    had: RoundStats,
    luck: list[float],
    told: Forecast,
) -> bool:
    """One imagined teacher; answers whether it ends with too few rows."""
    finished, saturation = teachers.finished[i], teachers.saturation[i]
    most = (
        teachers.pieces[i] * teachers.readable[i]
    )  # new instructions a seat, if none were near a known one
    begin = order.known + had.new
    missing = max(order.count - had.accepted, 0)
    end = begin + missing / finished
    full = saturation.full(most * finished, begin, end, order.round_size, luck[12])
    short = full is not None
    end = end if full is None else full
    rows = (end - begin) * finished
    seats = saturation.seats(most, begin, end)
    uneven = 0.0  # of one seat's rows, their variance
    if seats:
        mean = rows / seats
        uneven = (
            mean
            * max(1 - mean / max(teachers.pieces[i], mean), 0.05)
            * (1.5 if order.tasks > 1 else 1.0)
        )
        swings = order.swing.rows * sqrt(order.round_size / max(seats, order.round_size))
        seats = max(
            seats * (1 + luck[0] * sqrt(uneven / seats) / mean + luck[8] * swings), seats / 4
        )
    seats += STALL_ROUNDS / 2 * order.round_size if short else 0
    whole: float = ceil(seats / order.round_size) * order.round_size if missing else 0
    if whole and not short:
        rows += _beyond(
            whole - seats,
            most * finished * saturation.fresh(end),
            uneven,
            order,
            luck[10],
        )
    asked = (
        rows / finished + luck[11] * sqrt(rows * max(1 - finished, 0.0)) / finished
    )  # so many answers bring so many rows, or so
    answers = min(max(asked, rows), max(whole * order.tasks, rows)) * order.follows
    requests: float = whole + answers
    if order.max_requests is not None and had.requests + requests > order.max_requests:
        odd = order.follows and luck[6] > 0  # one request is left, and a seat needs two
        kept = max(order.max_requests - had.requests - odd, 0) / requests
        short, whole, answers, rows, requests = (
            short or rows * kept < missing,  # a round is taken whole: there may be enough of them
            whole * kept,
            answers * kept,
            rows * kept,
            requests * kept,
        )
    _tell(_Sent(whole, answers, requests, rows), order, teachers, i, had, luck, told)
    return short


@dataclass(frozen=True)
class _Sent:
    """What one imagined teacher is asked from here on: prompts, answers asked for one by one, both together; and the rows."""

    whole: float
    answers: float
    requests: float
    rows: float


def _tell(
    sent: _Sent,
    order: Workload,
    teachers: ImaginedTeacher,
    i: int,
    had: RoundStats,
    luck: list[float],
    told: Forecast,
) -> None:
    """Its tokens, dollars and minutes, each drawn around its mean."""
    whole, answers, requests = sent.whole, sent.answers, sent.requests
    rounds = sqrt(max(whole / order.round_size, 1))

    def about(luck: float, count: float, of_one: float, shared: float, of_round: float) -> float:
        return exp(luck * of_one / sqrt(max(count, 1)) + shared * of_round / rounds)

    tokens_in = whole * teachers.in_first[i] * about(
        luck[4], whole, 0.1, luck[9], order.swing.ins
    ) + answers * teachers.in_answer[i] * about(luck[5], answers, 0.1, luck[8], order.swing.ins)
    tokens_out = whole * teachers.out_first[i] * about(
        luck[1], whole, 0.4, luck[8], order.swing.out
    ) + answers * teachers.out_answer[i] * about(
        luck[2], answers, 0.4, luck[8], order.swing.out_answer
    )
    drawn = whole * teachers.out_first[i] + answers * teachers.out_answer[i]
    longer = tokens_out / drawn if order.pace.shared and drawn else 1.0
    lost = teachers.lost[i] * requests
    lost = max(lost + luck[3] * sqrt(4 * lost), 0.0)
    told.requests.append(requests)
    told.tokens_in.append(tokens_in)
    told.tokens_out.append(tokens_out)
    told.dollars.append(
        tokens_in * order.price[0] + tokens_out * order.price[1] + lost * order.ceiling
    )
    seconds = requests * teachers.seconds[i] * longer * exp(0.05 * luck[7])
    told.minutes.append((order.pace.start + seconds) / 60 if requests else 0.0)
    told.rows.append(had.accepted + sent.rows)


def _beyond(seats: float, mean: float, uneven: float, order: Workload, luck: float) -> int:
    """Rows that the last round brings beyond those that were wanted; so many of its seats come after them. A round in which
    the last row wanted falls is rather a rich one."""
    spread = hypot(order.swing.rows, sqrt(uneven / order.round_size) / mean)
    return int(max(seats, 0.0) * mean * exp(spread * luck + spread**2 / 2))


def rows_of(seats: float, teachers: ImaginedTeacher, known: int) -> Range:
    """How many rows so many prompts bring, where no answer is asked for by itself."""
    brought = []
    for pieces, readable, saturation in zip(
        teachers.pieces, teachers.readable, teachers.saturation, strict=True
    ):
        low, high = 0.0, pieces * readable * seats
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (
                (middle, high)
                if saturation.seats(pieces * readable, known, known + middle) <= seats
                else (low, middle)
            )
        brought.append(low)
    return Forecast(rows=brought).range("rows")
