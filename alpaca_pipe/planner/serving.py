"""What it costs to answer so many conversations a day: by an API, on a rented GPU that is always on, on a desktop of one's own."""

from __future__ import annotations

from datetime import date

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.pricing.gpu_rates import gpus, rate_of
from alpaca_pipe.ledger.pricing.token_prices import price_of
from alpaca_pipe.models.architecture import of_size, shape_named
from alpaca_pipe.models.fit import GB, GIB, file_bytes

# GB/s that a GPU reads its own memory with: an answer's token reads all weights once, however many answers are written side by
# side. NVIDIA's datasheets.
BANDWIDTH = {
    "H200": 4800,
    "H100": 3350,
    "H100-PCIe": 2000,
    "A100-80": 2039,
    "A100-40": 1555,
    "L40S": 864,
    "A10G": 600,
    "L4": 300,
    "RTX4090": 1008,
    "RTX3090": 936,
}
_REACHED = 0.6  # of it, by llama.cpp and vLLM alike in what they publish
_LEAST = 1000  # parameters: below that a unit was forgotten
_SIDE_BY_SIDE = 16  # answers at once, before arithmetic and caches slow the reading down
_RESERVE = 1.2  # of memory, for caches
_PEAK = 5  # times the mean load in the busiest hour: people sleep


@dataclass(frozen=True)
class Traffic:
    """conversations a day, of so many turns; tokens of a question and an answer. Each turn sends all before it again."""

    conversations: float = 1000
    turns: float = 4
    question: float = 60
    answer: float = 220

    @property
    def tokens_in(self) -> float:
        """A day."""
        history = (self.question + self.answer) * (self.turns - 1) / 2
        return self.conversations * self.turns * (self.question + history)

    @property
    def tokens_out(self) -> float:
        return self.conversations * self.turns * self.answer

    @property
    def busiest(self) -> float:
        """Tokens of answers a second in the busiest hour."""
        return self.tokens_out / 86400 * _PEAK


@dataclass(frozen=True)
class Machine24:
    """A machine that waits for questions all day. a_day: dollars; speed: tokens of answers a second, side by side; parts: what
    a_day is made of."""

    name: str
    a_day: float
    speed: float
    parts: str

    def enough(self, traffic: Traffic) -> bool:
        return self.speed >= traffic.busiest


def by_api(traffic: Traffic, model: str, day: date | None = None) -> tuple[float, str]:
    """(dollars a day, the price and its day). Nothing is counted off for cached input. UserError where nobody says the price."""
    price = price_of(model, day or today())
    into, out = (float(price.per_million[part]) for part in ("uncached_in", "visible_out"))
    dollars = (traffic.tokens_in * into + traffic.tokens_out * out) / 1e6
    return dollars, f"${into:g} in and ${out:g} out a million (checked {price.checked})"


def rented(parameters: float, bits: float, gpu: str, day: date | None = None) -> Machine24:
    """UserError where the weights do not fit, or nobody says what the GPU costs."""
    speed = decoding(parameters, bits, gpu)
    rate = rate_of(gpu, day or today())
    hourly = float(rate.per_hour)
    parts = f"24 h x ${hourly:g} ({rate.provider}, checked {rate.checked}), asked or not"
    return Machine24(f"one {gpu}, rented", 24 * hourly, speed, parts)


def desktop(
    parameters: float,
    bits: float,
    gpu: str,
    traffic: Traffic,
    bought: float = 2500,
    years: float = 4,
    per_kwh: float = 0.17,
    idle_watts: float = 60,
) -> Machine24:
    """A computer of one's own: what it cost over its years, and its electricity, at its limit only while it answers."""
    speed = decoding(parameters, bits, gpu)
    busy = min(24.0, traffic.tokens_out / speed / 3600)
    kwh = (busy * (gpus()[gpu].watts + idle_watts) + (24 - busy) * idle_watts) / 1000
    a_day = bought / years / 365 + kwh * per_kwh
    parts = (
        f"${bought:,.0f} over {years:g} years, {kwh:.1f} kWh a day at ${per_kwh:g} ({busy:.1f} h of answers, "
        f"{idle_watts:g} W besides)"
    )
    return Machine24(f"a desktop with one {gpu}", a_day, speed, parts)


def decoding(parameters: float, bits: float, gpu: str) -> float:
    """Tokens a second of answers written side by side. UserError for weights that do not fit, and a GPU whose memory is not known."""
    if gpu not in BANDWIDTH:
        raise UserError(
            f"plan serving: how fast a {gpu} reads its memory is not known here",
            f"known are: {', '.join(BANDWIDTH)}",
        )
    weights, room = file_bytes(parameters, bits), gpus()[gpu].memory_gib * GIB
    if weights * _RESERVE > room:
        raise UserError(
            f"plan serving: {weights / GB:.0f} GB of weights and their caches do not fit into one {gpu} ({room / GB:.0f} GB)",
            "take fewer bits (bits=4.5), a smaller model or a larger GPU",
        )
    return BANDWIDTH[gpu] * 1e9 * _REACHED / weights * _SIDE_BY_SIDE


def size_of(model: str) -> float:
    """Parameters of a model by its name or its number (7b). UserError."""
    if shape := shape_named(model):
        return shape.parameters
    from alpaca_pipe.planner.plan_keys import number

    count = number(model, "plan serving: model")
    if count < _LEAST:
        raise UserError(
            f"plan serving: model={count:g} is fewer parameters than a language model has",
            f"write the unit too, as in model={count:g}b (k, m, b or t)",
        )
    return of_size(count).parameters
