"""The rows of one optimizer step as micro-batches without padding, in which a common opening is computed once.

Rows that are asked in one template begin with the same tokens. What a causal model computes for a token depends on the
tokens before it alone, so a shared opening has one value for all its rows: it is laid down once and read by each.
The mathematics is that of rows side by side; only the order of floating-point sums differs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

IGNORED = -100  # the target of a place that carries no loss


@dataclass(frozen=True)
class Row:
    """ids of one row; targets[i] is the token that place i is to predict, or IGNORED; weights: of the targets, where not all
    are 1. Equal lengths. number: which of all rows it is, where something is known of each (soft_targets.py)."""

    ids: Sequence[int]
    targets: Sequence[int]
    weights: Sequence[float] | None = None
    number: int = -1

    @staticmethod
    def of(
        ids: Sequence[int], mask: Sequence[bool], weight: float = 1.0, prompt_weight: float = 0.0
    ) -> Row:
        """mask[i]: whether ids[i] is learned, which is for the place before it to predict. weight: of the whole row;
        prompt_weight: of what is not learned, beside the learned."""
        if prompt_weight:
            weights = [weight if yes else weight * prompt_weight for yes in mask[1:]]
            return Row(ids, [*ids[1:], IGNORED], [*weights, 0.0])
        learned = zip(ids[1:], mask[1:], strict=True)
        targets = [*(token if yes else IGNORED for token, yes in learned), IGNORED]
        return Row(ids, targets, None if weight == 1.0 else [weight] * len(ids))

    @property
    def opening(self) -> int:
        """How many of its first tokens predict nothing that is learned."""
        return next(
            (place for place, target in enumerate(self.targets) if target != IGNORED), len(self.ids)
        )

    @property
    def learned(self) -> int:
        return sum(target != IGNORED for target in self.targets)

    @property
    def weight(self) -> float:
        """Of all its targets together: how many there are, unless some weigh more than others."""
        if self.weights is None:
            return float(self.learned)
        pairs = zip(self.weights, self.targets, strict=True)
        return math.fsum(weight for weight, target in pairs if target != IGNORED)


@dataclass(frozen=True)
class MicroBatch:
    """Tokens laid end to end, each shared opening once.

    ids, targets, positions, weights (None: all 1): per place. runs: (rows, tokens each) of the rows read whole one after the other, equal
    lengths together. reads: for each token of those rows the place it is read from; returns: for each place, where
    among those tokens its own result stands; both None where nothing is shared and the rows lie in reading order.
    numbers: of the rows, in the order in which their learned places lie.
    """

    ids: list[int]
    targets: list[int]
    positions: list[int]
    runs: tuple[tuple[int, int], ...]
    reads: list[int] | None
    returns: list[int] | None
    weights: list[float] | None = None
    numbers: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        """Of the rows, shared openings counted for each."""
        return sum(rows * length for rows, length in self.runs)


def micro_batches(
    rows: Sequence[Row],
    at_once: int,
    share: bool = True,
    tokens: int | None = None,
    more_at_first: int = 0,
) -> Iterator[MicroBatch]:
    """The rows in micro-batches of at most `at_once` rows and about `tokens` tokens (at least one row), the first one of so
    many more; rows that begin alike lie in the same one."""
    ordered = sorted(rows, key=lambda row: list(row.ids)) if share else list(rows)
    for part in grouped(ordered, at_once, tokens, more_at_first):
        yield lay_out(part, share)


def grouped(
    rows: Sequence[Row], at_once: int, tokens: int | None, more_at_first: int = 0
) -> Iterator[list[Row]]:
    """Neighbours together: at most `at_once`, and not beyond `tokens` in all unless one row alone is."""
    part: list[Row] = []
    room = math.inf if tokens is None else tokens + more_at_first
    for row in rows:
        sum_of = sum(len(one.ids) for one in part) + len(row.ids)
        if part and (len(part) == at_once or sum_of > room):
            yield part
            part, room = [], math.inf if tokens is None else tokens
        part.append(row)
    if part:
        yield part


def lay_out(rows: Sequence[Row], share: bool = True) -> MicroBatch:
    """One micro-batch. Neighbours that begin alike share their opening, so sorted rows share all that they can."""
    ids: list[int] = []
    targets: list[int] = []
    positions: list[int] = []
    weights: list[float] | None = None if all(row.weights is None for row in rows) else []
    where: list[list[int]] = []  # of each row, its places
    for number, row in enumerate(rows):
        common = _common(rows[number - 1], row) if share and number else 0
        places = where[-1][:common] if common else []
        places = [*places, *range(len(ids), len(ids) + len(row.ids) - common)]
        ids += row.ids[common:]
        targets += row.targets[common:]
        positions += range(common, len(row.ids))
        if weights is not None:
            weights += (row.weights or [1.0] * len(row.ids))[common:]
        where.append(places)
    numbers = tuple(row.number for row in rows)
    where.sort(key=len)
    runs = tuple((len(list(group)), length) for length, group in groupby(where, key=len))
    reads = [place for places in where for place in places]
    if reads == list(range(len(ids))):
        return MicroBatch(ids, targets, positions, runs, None, None, weights, numbers)
    returns = [0] * len(ids)
    for token, place in enumerate(reads):
        returns[place] = token
    return MicroBatch(ids, targets, positions, runs, reads, returns, weights, numbers)


def _common(one: Row, other: Row) -> int:
    """How many first tokens are the same and predict nothing in either row."""
    most = min(one.opening, other.opening)
    return next((i for i in range(most) if one.ids[i] != other.ids[i]), most)


def as_tensors(batch: MicroBatch) -> dict[str, Any]:
    """What the model and attention.py take: input_ids, position_ids and targets (1, places); the layout beside them.
    learned: the places whose target is learned, found here, since asking a GPU for them would wait for it."""
    import torch

    def whole(values: list[int]) -> torch.Tensor:
        return torch.tensor([values])

    lengths = [length for rows, length in batch.runs for _ in range(rows)]
    ends = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    return {
        "input_ids": whole(batch.ids),
        "position_ids": whole(batch.positions),
        "targets": whole(batch.targets),
        "learned": learned_places(batch.targets),
        "weights": None if batch.weights is None else torch.tensor([batch.weights]),
        "numbers": batch.numbers,
        "cu_seq_lens_q": ends,
        "max_length_q": max(lengths),
        "row_runs": batch.runs,
        "row_reads": None if batch.reads is None else torch.tensor(batch.reads),
        "row_returns": None if batch.returns is None else torch.tensor(batch.returns),
    }


def learned_places(targets: Sequence[int]) -> torch.Tensor:
    import torch

    return torch.tensor([at for at, one in enumerate(targets) if one != IGNORED], dtype=torch.long)


def as_padded_tensors(rows: Sequence[Row], pad: int) -> dict[str, Any]:
    """The rows side by side, for a model whose own attention is to be used: all (rows, longest)."""
    import torch

    longest = max(len(row.ids) for row in rows)

    def filled(parts: Sequence[Sequence[float]], value: float) -> torch.Tensor:
        return torch.tensor([[*part, *[value] * (longest - len(part))] for part in parts])

    targets = filled([row.targets for row in rows], IGNORED)
    weighed = any(row.weights is not None for row in rows)
    weights = [row.weights or [1.0] * len(row.ids) for row in rows] if weighed else None
    return {
        "input_ids": filled([row.ids for row in rows], pad),
        "attention_mask": filled([[1] * len(row.ids) for row in rows], 0),
        "targets": targets,
        "learned": learned_places(targets.flatten().tolist()),
        "weights": None if weights is None else filled(weights, 0.0),
        "numbers": tuple(row.number for row in rows),
    }
