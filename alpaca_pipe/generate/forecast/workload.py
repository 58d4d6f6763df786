"""What a forecast starts from: real prompts of the style with its seeds, the teacher's price and pace, and a prior."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.core.files import canonical
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.generate.forecast.simulation import RequestTiming, Workload
from alpaca_pipe.generate.parsing.reply import Draft
from alpaca_pipe.generate.prior import STEADY, SWINGING, LogNormal, Prior, thinking
from alpaca_pipe.generate.prompts.sampling import Seating
from alpaca_pipe.generate.stop_rules import Limits
from alpaca_pipe.generate.styles.base import Seat, Style
from alpaca_pipe.ledger.budget import OUTPUT_LIMITS, ceiling_of
from alpaca_pipe.ledger.pricing.token_prices import Price
from alpaca_pipe.teachers.config import TeacherTable

_PROMPTS = 24  # built, each as it would be sent, to know their length
_INSTRUCTION = (
    "What makes a bridge strong enough to carry a train?"  # stands for one that the teacher wrote
)
_AROUND_MESSAGE = (
    4  # tokens: OpenAI's rule of thumb; what the small models' templates take is about the same
)
_SCHEMA = (
    0.5  # of a JSON schema's letters that the model is shown, more or less: providers do not say
)
# Families that think before they answer unless told otherwise. Of newer ones that think only when told, nothing is added.
_THINKERS = lazy_regex(
    r"gpt-5(-mini|-nano|-20\d\d|$)|\bo[134](-|$)|deepseek-r|reason|qwq|think"
    r"|claude-[a-z]+-[5-9]|gemini-(2\.5-(flash|pro)(-\d|$)|[3-9])",
    re.IGNORECASE,
)


def order_of(
    seating: Seating, teacher: TeacherTable, price: Price, known: int, limits: Limits, have: int = 0
) -> Workload:
    """known: instructions that are compared with from the start.  have: rows that are there before anything is asked."""
    style = seating.style
    firsts: list[Request] = []
    answers: list[Request] = []
    for number in range(_PROMPTS):
        ground = [seating.grounds[number % len(seating.grounds)]] if style.grounded else []
        (seat,) = seating.round(number, number * seating.round_size, 1, ground)
        firsts.append(style.request_for(seat))
        answers += _following(style, seat)
    nanodollars = [
        float(price.per_million[side]) * 1000 for side in ("uncached_in", "visible_out")
    ]  # a token
    tasks = style.tasks(seating.shown)
    seats = seating.turns().left if style.grounded else None
    if limits.max_candidates:
        seats = min(seats or limits.max_candidates, -(-limits.max_candidates // tasks))
    most = [limits.max_requests, seats and seats * style.depth * (1 + tasks * style.follows)]
    return Workload(
        max(limits.count - have, 0),
        seating.round_size,
        tasks,
        style.follows,
        min(filter(None, most), default=None),
        known,
        (_letters(firsts), _letters(answers)),
        (_around(firsts), _around(answers)),
        (_limit(firsts), _limit(answers)),
        (nanodollars[0], nanodollars[1]),
        fmean(ceiling_of(request, price) for request in (firsts[0], *answers[:1])),
        _pace(teacher),
        SWINGING if style.one_prefix else STEADY,
        *_sources(seating),
    )


def _sources(seating: Seating) -> tuple[int, str]:
    """What ideas come from; 0 where they do not run out: rows that come of rows, and instructions that are taken as they are."""
    style = seating.style
    if not style.novel or style.depth > 1:
        return 0, ""
    if style.grounded:
        passages = seating.grounds and seating.grounds[0].example is None
        return len(seating.grounds), "passages" if passages else "rows"
    topics = len(seating.topics) if style.topics else 0
    return len(seating.seeds) + topics, "seeds and topics" if topics else "seeds"


def _following(style: Style, seat: Seat) -> Iterator[Request]:
    """What would be asked after a first reply."""
    draft = Draft(_INSTRUCTION)
    while request := style.follow_up(seat, draft):
        yield request
        drafts = [
            piece
            for piece in style.parse_follow_up(seat, draft, Completion("no", "stop", Usage()))
            if isinstance(piece, Draft)
        ]
        if not drafts:
            return
        draft = drafts[0]


def prior_of(style: Style, teacher: TeacherTable) -> Prior:
    """What is believed of this teacher under this style before any reply is known."""
    prior = style.prior_of(teacher)
    if teacher.kind == "rehearsed":
        return prior
    effort = teacher.effort
    thinks = _THINKERS.search(teacher.model) is not None if effort is None else effort != "none"
    return replace(prior, thinks=thinking(str(effort))) if thinks else prior


def _letters(requests: Sequence[Request]) -> float:
    return (
        fmean(
            sum(len(message.content) for message in request.messages) + _SCHEMA * _schema(request)
            for request in requests
        )
        if requests
        else 0.0
    )


def _schema(request: Request) -> int:
    wanted = request.decoding.get("response_format")
    return len(canonical(wanted)) if wanted else 0


def _around(requests: Sequence[Request]) -> float:
    return (
        fmean(_AROUND_MESSAGE * len(request.messages) + 3 for request in requests)
        if requests
        else 0.0
    )


def _limit(requests: Sequence[Request]) -> int:
    """Of tokens out; a million where the requests set none."""
    limits = [
        int(request.decoding[name])
        for request in requests
        for name in OUTPUT_LIMITS
        if request.decoding.get(name)
    ]
    return max(limits, default=1_000_000)


def _pace(teacher: TeacherTable) -> RequestTiming:
    pace = teacher.expected_pace()
    return RequestTiming(
        LogNormal(*pace.first),
        LogNormal(*pace.speed),
        pace.at_once or teacher.concurrency,
        pace.shared,
        teacher.requests_per_minute,
        teacher.tokens_per_minute,
        pace.start,
    )
