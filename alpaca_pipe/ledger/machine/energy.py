"""What computing draws from the wall and sends up the chimney: kWh measured by the GPU's own counter, or assumed from its
power limit; both times the data centre's overhead, and times what a kWh of the grid emits.

These are estimates, so they are floats; what is billed in dollars is not computed here.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from alpaca_pipe.core.fast_dataclass import dataclass

Basis = Literal["measured", "assumed"]


@dataclass(frozen=True)
class EnergyFigure:
    """A figure of the world: what it was, in which year, and who says so."""

    value: float
    unit: str
    year: int
    source: str
    checked: date


_CHECKED = date(2026, 11, 21)
# Power usage effectiveness: kWh that the building draws for each kWh that its computers draw.
PUE = EnergyFigure(
    1.56,
    "kWh per kWh",
    2024,
    "Uptime Institute, Global Data Center Survey 2024: average of those asked",
    _CHECKED,
)
LLAMA_PUE = EnergyFigure(1.1, "kWh per kWh", 2023, "LLaMA, arXiv:2302.13971, section 6", _CHECKED)
NO_OVERHEAD = EnergyFigure(
    1.0, "kWh per kWh", 2026, "a machine of one's own: only what it draws itself", _CHECKED
)
# What a kWh emits, kg of CO2 equivalent.
GRID = EnergyFigure(
    0.473, "kg CO2e per kWh", 2024, "Ember, Global Electricity Review 2025: world average", _CHECKED
)
US_GRID = EnergyFigure(
    0.385,
    "kg CO2e per kWh",
    2023,
    "LLaMA, arXiv:2302.13971, section 6: average of the United States",
    _CHECKED,
)
# Share of its power limit that a GPU draws on average while it trains. LLaMA's table 15 uses the limit itself.
UTILISATION = EnergyFigure(
    1.0,
    "of the power limit",
    2023,
    "LLaMA, arXiv:2302.13971, table 15: the limit is taken for the draw",
    _CHECKED,
)


def energy_kwh(gpu_hours: float, watts: float, pue: float) -> float:
    """kWh at the building's meter for so many GPU-hours at so many watts. LLaMA's equation: GPU-h x W x PUE / 1000."""
    return gpu_hours * watts * pue / 1000


def carbon_kg(kwh: float, kg_per_kwh: float) -> float:
    """kg of CO2 equivalent for so many kWh of a grid."""
    return kwh * kg_per_kwh


@dataclass(frozen=True)
class Energy:
    """What a stretch of computing drew, and how that is known."""

    kwh: float  # at the building's meter: with PUE
    kg: float  # CO2 equivalent
    basis: Basis
    pue: float
    kg_per_kwh: float
    rests_on: str  # one line: the counter, or the watts that were assumed

    def usage(self) -> dict[str, Any]:
        """As it is kept in the entry."""
        return {
            "kwh": round(self.kwh, 9),
            "kg_co2e": round(self.kg, 9),
            "basis": self.basis,
            "pue": self.pue,
            "kg_per_kwh": self.kg_per_kwh,
        }


def measured(joules: float, pue: float = PUE.value, kg_per_kwh: float = GRID.value) -> Energy:
    """From the sum of the GPUs' own counters (each UUID once). They leave out the CPU, memory and fans of the machine."""
    kwh = joules / 3.6e6 * pue
    return Energy(
        kwh,
        carbon_kg(kwh, kg_per_kwh),
        "measured",
        pue,
        kg_per_kwh,
        f"the GPUs' energy counters, PUE {pue:g}, {kg_per_kwh:g} kg CO2e per kWh",
    )


def assumed(
    gpu_hours: float,
    watts: float,
    utilisation: float = UTILISATION.value,
    pue: float = PUE.value,
    kg_per_kwh: float = GRID.value,
) -> Energy:
    """From the power limit, where no counter could be read."""
    kwh = energy_kwh(gpu_hours, watts * utilisation, pue)
    return Energy(
        kwh,
        carbon_kg(kwh, kg_per_kwh),
        "assumed",
        pue,
        kg_per_kwh,
        f"{watts * utilisation:g} W assumed, PUE {pue:g}, {kg_per_kwh:g} kg CO2e per kWh",
    )


def drawn(kwh: float, measured: float, kg: float) -> str:
    """So many kWh in words, and of them so many measured: each entry's own note says by which PUE and grid."""
    parts = [
        f"{part:.3g} {how}"
        for part, how in (
            (measured, "measured by the GPUs' counters"),
            (kwh - measured, "assumed from the power limit"),
        )
        if part > 1e-12
    ]
    return f"energy: {kwh:.3g} kWh ({', '.join(parts)}), {kg:.3g} kg CO2e"
