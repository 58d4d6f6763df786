"""What is held side by side: yield and price of each entrant with intervals, how varied its rows are, how new to the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from math import comb
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.curate.diversity import verb_and_object
from alpaca_pipe.evaluate.bootstrap import Interval, draws
from alpaca_pipe.generate.loop import Generation
from alpaca_pipe.ledger.pricing.token_prices import Price
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.similarity.rouge import Index
from alpaca_pipe.similarity.words import Words
from alpaca_pipe.teacher_comparison.judging import RowJudgement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RESAMPLES, _SEED = 10_000, 42


@dataclass(frozen=True)
class PromptYield:
    """What came from one entrant at one prompt. cost: nano-dollars at its price, whoever bought the replies."""

    requests: int
    tokens_in: int
    tokens_out: int
    cost: int
    pieces: int
    rows: tuple[RowJudgement, ...]

    @property
    def good(self) -> int:
        return sum(row.good for row in self.rows)


@dataclass(frozen=True)
class EntrantMeasures:
    """One entrant over all prompts that every one was asked. accepted: by generate, new among the seeds and its own rows; kept:
    of those, by the recipe's filters; good: of those, passed by the judge, where there is one.  a_prompt: accepted rows;
    an_accepted, a_good: nano-dollars.  verbs_alike: distinct root verbs expected of as many rows as the smallest entrant has."""

    name: str
    model: str
    prompts: int
    requests: int
    tokens_in: int
    tokens_out: int
    cost: int
    pieces: int
    accepted: int
    kept: int
    good: int
    graded: int
    passed: int
    grade: float | None
    a_prompt: Interval
    an_accepted: Interval
    a_good: Interval
    verbs: int
    verbs_alike: float
    rules: dict[str, int]

    def to_row(self) -> dict[str, Any]:
        return {
            **asdict(self),
            **{
                name: _finite(getattr(self, name)) for name in ("a_prompt", "an_accepted", "a_good")
            },
        }


@dataclass(frozen=True)
class Pair:
    """Two entrants at the same prompts. more: accepted rows a prompt, second - first; dearer: $ for a good row, second / first."""

    first: str
    second: str
    more: Interval
    dearer: Interval
    new_in_first: float | None  # share of its accepted rows that are new to the other one
    new_in_second: float | None

    @property
    def says(self) -> str:
        return f"{self._price()}; {self._yield()}"

    def _price(self) -> str:
        one, lo, hi = self.dearer
        if not all(map(math.isfinite, self.dearer)):
            return "their prices do not compare: one has no good row, or costs nothing"
        if lo > 1:
            return f"a good row of {self.second} costs {one:.2f} [{lo:.2f}, {hi:.2f}] times one of {self.first}: {self.first} is cheaper"
        if hi < 1:
            return f"a good row of {self.first} costs {1 / one:.2f} [{1 / hi:.2f}, {1 / lo:.2f}] times one of {self.second}: {self.second} is cheaper"
        return f"neither is shown to be cheaper: a good row of {self.second} costs {one:.2f} [{lo:.2f}, {hi:.2f}] times one of {self.first}"

    def _yield(self) -> str:
        gap, lo, hi = self.more
        if lo <= 0 <= hi:
            return (
                f"neither is shown to bring more: {gap:+.2f} [{lo:+.2f}, {hi:+.2f}] rows a prompt"
            )
        more, less = (self.second, self.first) if gap > 0 else (self.first, self.second)
        low, high = sorted((abs(lo), abs(hi)))
        return (
            f"{more} brings {abs(gap):.2f} [{low:.2f}, {high:.2f}] rows a prompt more than {less}"
        )

    def to_row(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "more": _finite(self.more),
            "dearer": _finite(self.dearer),
            "says": self.says,
        }


def entries(
    generation: Generation,
    verdicts: Sequence[RowJudgement],
    prompts: int,
    price: Price,
    journal: Journal,
) -> list[PromptYield]:
    """One for each of the first prompts. verdicts: on the rows of `generation`, in their order."""
    rows: dict[str, list[RowJudgement]] = {}
    accepted = generation.examples[generation.extended :]
    for example, verdict in zip(accepted, verdicts, strict=True):
        rows.setdefault(example.origin.details["place"].rsplit("/", 1)[0], []).append(verdict)
    found = []
    for seat in generation.seats[:prompts]:
        replies = [reply for key in seat["keys"] if (reply := journal.stored(key))]
        found.append(
            _entry(replies, seat["pieces"], rows.get(f"{seat['round']}/{seat['seat']}", ()), price)
        )
    return found


def _entry(
    replies: Sequence[Completion], pieces: int, rows: Sequence[RowJudgement], price: Price
) -> PromptYield:
    return PromptYield(
        len(replies),
        sum(reply.usage.tokens_in for reply in replies),
        sum(reply.usage.tokens_out for reply in replies),
        sum(price.cost(reply.usage) for reply in replies),
        pieces,
        tuple(rows),
    )


def figures(
    names: Sequence[tuple[str, str]],
    came: Sequence[Sequence[PromptYield]],
    rules: Sequence[dict[str, int]],
    likeness: Decimal,
    words: Words,
) -> tuple[tuple[EntrantMeasures, ...], tuple[Pair, ...]]:
    """names: (name, model) of each entrant. Intervals: 95 %, a bootstrap over prompts, the same ones for all (Efron's
    percentiles); what differs from day to day at a teacher is not in them."""
    sums = [_Sums.of(own) for own in came]
    fewest = min(len(_verbs(own)) for own in came)
    found = tuple(
        _figures(*name, own, each, own_rules, fewest)
        for name, own, each, own_rules in zip(names, came, sums, rules, strict=True)
    )
    pairs = tuple(
        _pair(names[i][0], names[j][0], (came[i], came[j]), (sums[i], sums[j]), likeness, words)
        for i in range(len(came))
        for j in range(i + 1, len(came))
    )
    return found, pairs


@dataclass(frozen=True)
class _Sums:
    """Over all prompts, and over each resample of them."""

    accepted: NDArray[np.float64]  # the first is of all prompts
    good: NDArray[np.float64]
    cost: NDArray[np.float64]
    prompts: int

    @classmethod
    def of(cls, own: Sequence[PromptYield]) -> _Sums:
        import numpy as np

        each = np.array([[len(entry.rows), entry.good, entry.cost] for entry in own], dtype=float).T
        drawn = np.concatenate(
            [each[:, rows].sum(axis=2) for rows in draws(len(own), _RESAMPLES, _SEED)], axis=1
        )
        whole = np.concatenate([each.sum(axis=1, keepdims=True), drawn], axis=1)
        return cls(whole[0], whole[1], whole[2], len(own))


def _figures(
    name: str,
    model: str,
    own: Sequence[PromptYield],
    sums: _Sums,
    rules: dict[str, int],
    fewest: int,
) -> EntrantMeasures:
    rows = [row for entry in own for row in entry.rows]
    grades = [row.grade for row in rows if row.grade is not None]
    verbs = _verbs(own)
    return EntrantMeasures(
        name,
        model,
        len(own),
        sum(entry.requests for entry in own),
        sum(entry.tokens_in for entry in own),
        sum(entry.tokens_out for entry in own),
        sum(entry.cost for entry in own),
        sum(entry.pieces for entry in own),
        len(rows),
        sum(not row.dropped for row in rows),
        sum(row.good for row in rows),
        len(grades),
        sum(bool(row.passes) for row in rows),
        round(sum(grades) / len(grades), 3) if grades else None,
        _interval(sums.accepted / sums.prompts),
        _interval(_ratio(sums.cost, sums.accepted)),
        _interval(_ratio(sums.cost, sums.good)),
        len(set(verbs)),
        round(_expected_distinct(Counter(verbs), fewest), 1),
        rules,
    )


def _pair(
    first: str,
    second: str,
    came: tuple[Sequence[PromptYield], Sequence[PromptYield]],
    sums: tuple[_Sums, _Sums],
    likeness: Decimal,
    words: Words,
) -> Pair:
    one, other = sums
    texts = [[row.example.instruction for entry in own for row in entry.rows] for own in came]
    dearer = _ratio(_ratio(other.cost, other.good), _ratio(one.cost, one.good))
    return Pair(
        first,
        second,
        _interval((other.accepted - one.accepted) / one.prompts),
        _interval(dearer),
        new_among(texts[0], texts[1], likeness, words),
        new_among(texts[1], texts[0], likeness, words),
    )


def new_among(
    texts: Sequence[str], others: Sequence[str], likeness: Decimal, words: Words
) -> float | None:
    """Share of the texts whose best ROUGE-L F with any of the others is at most the likeness; None of no texts."""
    if not texts:
        return None
    index = Index(likeness, words)
    for place, other in enumerate(others):
        index.add(str(place), other)
    return round(sum(index.blocked(text) is None for text in texts) / len(texts), 4)


def _verbs(own: Sequence[PromptYield]) -> list[str]:
    return [
        found[0]
        for entry in own
        for row in entry.rows
        if (found := verb_and_object(row.example.instruction))
    ]


def _expected_distinct(counts: Counter[str], drawn: int) -> float:
    """How many different ones are among so many drawn without putting back (rarefaction, Hurlbert 1971)."""
    total = counts.total()
    return (
        sum(1 - comb(total - count, drawn) / comb(total, drawn) for count in counts.values())
        if total
        else 0.0
    )


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Infinite where nothing came, no number where nothing came of nothing."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return above / below


def _interval(values: NDArray[np.float64]) -> Interval:
    """The first value is the estimate, the others are resamples."""
    import numpy as np

    if np.isnan(values).any():
        return Interval(float(values[0]), math.nan, math.nan)
    lo, hi = np.percentile(values[1:], [2.5, 97.5], method="inverted_cdf")  # which takes infinities
    return Interval(float(values[0]), float(lo), float(hi))


def _finite(interval: Interval) -> dict[str, float | None]:
    return {
        name: value if math.isfinite(value) else None for name, value in interval._asdict().items()
    }
