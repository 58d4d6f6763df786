"""What pre-training takes: operations, GPU-hours, MWh, CO2, dollars, and the loss that Chinchilla's fit predicts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.machine.energy import GRID, PUE, carbon_kg, energy_kwh
from alpaca_pipe.ledger.pricing.gpu_rates import GpuRate, gpus, rate_of
from alpaca_pipe.models.architecture import Architecture, of_size, shape_named
from alpaca_pipe.models.fit import GB, GIB, memory, training_flops
from alpaca_pipe.planner.scaling_law import HOFFMANN, REPLICATION, interval, outside

# Share of the datasheet's bf16 rate that pre-training reaches: (badly, in the middle, well). LLaMA's own hours are 0.43 (7B), 0.51
# (13B), 0.46 (33B) and 0.47 (65B) of an A100's, with kernels and a network of Meta's.
PRETRAINING_SHARE = (0.30, 0.45, 0.52)
_TOKENS_A_PARAMETER = 20  # Chinchilla's rule
_LEAST = 1000  # parameters or tokens: below that a unit was forgotten
_PRECISION = 16  # bytes a parameter: fp32 weight, gradient and two moments
_DENSE = 0.95  # of a dense model more is multiplied: only its embedding is not
_AT_ONCE = 4096  # tokens of a micro-batch


@dataclass(frozen=True)
class Pretraining:
    """parameters: all of them; active: those that a token is multiplied with (of a mixture of experts fewer). tokens: trained on,
    the first `seen` of which are paid already. per_hour: dollars of a GPU; speed: measured tokens a second and GPU, or None."""

    parameters: float
    active: float
    tokens: float
    gpu: str
    gpus: float
    rate: GpuRate | None
    per_hour: float
    seen: float = 0.0
    speed: float | None = None
    shape: Architecture | None = None

    @property
    def flops(self) -> float:
        return training_flops(self.active, self.tokens - self.seen)

    @property
    def hours(self) -> Range:
        """GPU-hours."""
        if self.speed:
            return Range.exactly((self.tokens - self.seen) / self.speed / 3600)
        bad, middle, good = (
            self.flops / (gpus()[self.gpu].bf16_tflops * 1e12 * share) / 3600
            for share in PRETRAINING_SHARE
        )
        return Range(good, middle, bad)

    @property
    def dollars(self) -> Range:
        return self.hours.times(self.per_hour)

    @property
    def mwh(self) -> Range:
        return self.hours.times(energy_kwh(1, gpus()[self.gpu].watts, PUE.value) / 1000)

    @property
    def tonnes(self) -> Range:
        return self.mwh.times(carbon_kg(1000, GRID.value) / 1000)

    @property
    def least_gpus(self) -> int:
        """So many hold weights, gradients and AdamW's moments of all parameters, and one micro-batch."""
        shape = self.shape or of_size(self.parameters)
        held = memory(shape, "full", _AT_ONCE, recompute=True)
        bytes_needed = _PRECISION * self.parameters + held.activations + held.logits
        return math.ceil(bytes_needed / (gpus()[self.gpu].memory_gib * GIB * 0.97))

    def loss(self, tokens: float | None = None) -> tuple[float, float, float]:
        """(low, predicted, high) after so many tokens, all of them unless said. By the active parameters."""
        return interval(REPLICATION, self.active, tokens or self.tokens)

    def affords(self, dollars: float) -> float:
        """Tokens that so many dollars buy, in the middle."""
        return dollars / (self.dollars.p50 / (self.tokens - self.seen))


def pretraining(
    model: str = "",
    parameters: float | None = None,
    active: float | None = None,
    tokens: float | None = None,
    gpu: str = "H100",
    gpus_at_once: float | None = None,
    per_hour: float | None = None,
    seen: float | None = None,
    speed: float | None = None,
    day: date | None = None,
) -> Pretraining:
    """UserError for what is not known or does not go together. gpus_at_once: as many as hold it, unless said."""
    shape = shape_named(model) if model else None
    if model and shape is None:
        raise UserError(
            f"plan pretrain: no shape is known of '{model}'", "write parameters=13b in its place"
        )
    count = parameters or (shape.parameters if shape else None)
    if count is None:
        raise UserError(
            "plan pretrain: how large is it?", "write parameters=13b, or model=llama-13b"
        )
    for name, value in (
        ("parameters", count),
        ("active", active),
        ("tokens", tokens),
        ("seen", seen),
    ):
        if value and value < _LEAST:
            raise UserError(
                f"plan pretrain: {name}={value:g} is fewer than a language model has",
                f"write the unit too, as in {name}={value:g}b (k, m, b or t)",
            )
    if active and active > count:
        raise UserError(
            f"plan pretrain: {active:.3g} active parameters of {count:.3g}",
            "active is a part of all",
        )
    if gpu not in gpus():
        raise UserError(
            f"plan pretrain: no datasheet is held of a GPU '{gpu}'",
            f"there are: {', '.join(sorted(gpus()))}",
        )
    multiplied = active or (shape.multiplied if shape and not parameters else count)
    wanted = tokens or _TOKENS_A_PARAMETER * multiplied
    if seen and seen >= wanted:
        raise UserError(
            f"plan pretrain: {wanted:.3g} tokens are not beyond the {seen:.3g} that it has seen",
            "tokens counts from the first one on",
        )
    rate = None if per_hour else rate_of(gpu, day or today())
    price = per_hour or (float(rate.per_hour) if rate else 0.0)
    found = Pretraining(count, multiplied, wanted, gpu, 1, rate, price, seen or 0.0, speed, shape)
    least = found.least_gpus
    if gpus_at_once and gpus_at_once < least:
        raise UserError(
            f"plan pretrain: {gpus_at_once:g} x {gpu} do not hold it: weights, gradients and moments of all parameters are "
            f"{_PRECISION * count / GB:,.0f} GB",
            f"write gpus={least} or more, or leave it out",
        )
    return replace(found, gpus=gpus_at_once or least)


def doubts(plan: Pretraining) -> Iterator[str]:
    """What is to be known of the figures."""
    if said := outside(plan.active, plan.tokens):
        yield f"loss: {said}"
    if plan.active < _DENSE * plan.parameters:
        yield (
            "loss: the fit is of dense models; a mixture of experts lies between a dense model of its active parameters (said "
            f"here) and one of all ({REPLICATION.loss(plan.parameters, plan.tokens):.3f})"
        )
    hoffmann, replicated = HOFFMANN.loss(plan.active, plan.tokens), plan.loss()
    if not replicated[0] <= hoffmann <= replicated[2]:
        yield f"loss: Hoffmann's own fit says {hoffmann:.3f}, outside of the interval of its replication"
