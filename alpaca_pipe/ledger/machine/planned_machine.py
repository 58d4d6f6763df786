"""The machine that a recipe is planned for: the GPU of its table `gpu:`, else the one found here, else this CPU."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.entries import Class
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.machine.config import GpuTable, LeaseTerms
from alpaca_pipe.ledger.machine.energy import PUE
from alpaca_pipe.ledger.money import NANO, nanodollars, shown
from alpaca_pipe.ledger.pricing.gpu_rates import Gpu, GpuRate, gpu_named, gpus


@dataclass(frozen=True)
class Machine:
    """gpu: None is a CPU, or a GPU of which no datasheet is held. per_hour: nano-dollars for the whole machine."""

    gpu: Gpu | None
    per_hour: int
    says: str
    unpriced: bool = False  # a rate is wanted and none is known
    granularity: int = 1  # seconds
    energy_per_hour: int = 0  # nano-dollars for electricity, which only caps of no class hold

    def money(self, minutes: Range) -> Range:
        return minutes.times(self.per_hour / 60) if self.per_hour else NOTHING

    def energy(self, minutes: Range) -> Range:
        return minutes.times(self.energy_per_hour / 60) if self.energy_per_hour else NOTHING

    def to_stop_in(self, grace: float, class_: Class | None) -> int:
        """As a lease's terms say it (gpu.grace), in nano-dollars."""
        per_hour = self.per_hour + (0 if class_ else self.energy_per_hour)
        return LeaseTerms("gpu", "", per_hour=per_hour, granularity=self.granularity).to_stop_in(
            grace
        )


def machine_of(tables: Mapping[str, Any], day: date | None = None) -> Machine:
    """Never raises: a GPU that nobody prices costs nothing here, and `says` says so; a run refuses it."""
    table: GpuTable = tables.get("gpu") or GpuTable()
    found = detect.gpus()
    name = table.name or (
        known.name
        if found and (known := gpu_named(found[0].name))
        else found[0].name
        if found
        else ""
    )
    gpu = gpus().get(name) if name else None
    count = table.count or len(found) or 1
    try:
        rate = table.rate(day or today(), found)
    except UserError as error:
        return Machine(gpu, 0, str(error), unpriced=True)
    per_hour = rate.nanodollars_per_hour * count if rate else 0
    what = f"{count} x {name}" if name else "this machine"
    if not per_hour:
        return Machine(gpu, 0, what if name else "")
    who = (
        f"{rate.provider}, checked {rate.checked}"
        if isinstance(rate, GpuRate)
        else "as the recipe says, on whichever machine it runs"
    )
    if isinstance(rate, GpuRate) and table.provider is None:
        who += "; the middle of the book's prices: name gpu.provider or gpu.per_hour for yours"
    says = f"{what} at ${per_hour / NANO:.2f} an hour ({who})"
    granularity = table.granularity or (rate.granularity if rate else 1)
    each = table.watts or (gpu.watts if gpu else 0)
    watts = each * count if each else sum(one.watts or 0 for one in found)
    return Machine(gpu, per_hour, says, False, granularity, _energy_per_hour(table, watts))


def _energy_per_hour(table: GpuTable, watts: float) -> int:
    """Of a machine that is rented."""
    pue = PUE.value if table.pue is None else table.pue
    per_kwh = nanodollars(table.per_kwh) if table.per_kwh else 0
    return LeaseTerms("gpu", "", watts=watts, pue=pue, per_kwh=per_kwh).energy_per_hour


def idle_gpus(billed: int, used: int, per_hour: int) -> str:
    """That GPUs are paid for and not used, with their cost. per_hour: nano-dollars of the whole machine; 0 where none is known."""
    if used > billed:
        return f"{billed} GPUs are billed (gpu.count), and train.processes uses {used}"
    cost = f", {shown(round(per_hour * (billed - used) / billed))} of {shown(per_hour)} an hour"
    return (
        f"{billed} GPUs are billed and train.processes uses {used}: {billed - used} of them idle{cost if per_hour else ''}; "
        f"train.processes={billed} uses all, a machine with {used} costs less"
    )
