"""[gpu] the machine that a run is billed for: which one it is, what an hour of it costs, and since when it is rented."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator

from alpaca_pipe.core.config_table import Exact, Knob, Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.ledger.entries import Class
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.machine.energy import GRID, NO_OVERHEAD, PUE
from alpaca_pipe.ledger.money import NANO, nanodollars, shown
from alpaca_pipe.ledger.pricing.gpu_rates import GpuRate, gpu_named, gpu_rates, gpus, rate_of

_NO_RATE = "machine time is counted at $0: no rate is given (gpu.per_hour)"


class GpuTable(Table):
    """The rented machine. All keys are knobs: what a machine costs does not change a result."""

    name: Annotated[
        str | None,
        Knob(),
        Field(description="H200, A100-80, RTX4090 ...; default: what is detected"),
    ] = None
    count: Annotated[
        int | None,
        Knob(),
        Field(ge=1, description="GPUs that are billed; default: all of the machine"),
    ] = None
    provider: Annotated[
        str | None, Knob(), Field(description="whose price in the price list is used")
    ] = None
    per_hour: Annotated[
        Exact | None,
        Knob(),
        Field(
            ge=0,
            description="$ per hour for one GPU (or for the machine, without a GPU); 0 if it is free. It is billed on every "
            "machine on which the recipe runs, named or not: where only one is rented, write it on that one's command line",
        ),
    ] = None
    granularity: Annotated[
        int | None, Knob(), Field(ge=1, description="seconds, rounded up at the lease's end")
    ] = None
    lease_start: Annotated[
        Literal["run", "gpu", "boot"] | datetime,
        Knob(),
        Field(
            description="when billing starts: with this run; with its first step that uses the GPU (gpu: what comes before "
            "runs on another machine); with the machine (boot); or at a time like 2026-11-21T08:00:00Z"
        ),
    ] = "run"
    grace: Annotated[
        float, Knob(), Field(gt=0, description="seconds kept free below the cap, to save the work")
    ] = 120.0
    watts: Annotated[
        float | None, Knob(), Field(gt=0, description="power of one GPU; default: its limit")
    ] = None
    pue: Annotated[
        float | None, Knob(), Field(ge=1, description="the building's kWh for one of the machine's")
    ] = None
    kg_per_kwh: Annotated[
        float | None, Knob(), Field(ge=0, description="kg of CO2 for a kWh of the grid")
    ] = None
    per_kwh: Annotated[
        Exact | None,
        Knob(),
        Field(ge=0, description="$ per kWh, if electricity is billed separately"),
    ] = None
    human_per_hour: Annotated[
        Exact, Knob(), Field(ge=0, description="$ for an hour of a person's work")
    ] = Decimal(0)
    storage_per_gb_month: Annotated[
        Exact, Knob(), Field(ge=0, description="$ for 1e9 bytes kept for 30 days")
    ] = Decimal(0)
    egress_per_gb: Annotated[Exact, Knob(), Field(ge=0, description="$ for 1e9 bytes sent out")] = (
        Decimal(0)
    )

    @field_validator("lease_start")
    @classmethod
    def _in_a_zone(cls, value: Any) -> Any:
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError(
                "this time has no time zone - write it with Z or an offset: 2026-11-21T08:00:00Z"
            )
        return value

    def waits(self) -> bool:
        """Whether nothing is rented yet while steps run that need no GPU. A machine that has the GPU is rented."""
        found = detect.gpus() if self.lease_start == "gpu" else ()
        here = bool(found) and self.name in (None, _known(found, quiet=True))
        return self.lease_start == "gpu" and not here

    def rented_anyway(self, found: tuple[detect.DetectedGpu, ...]) -> bool:
        """Whether this machine is paid for though no step uses a GPU: the recipe says what an hour of it costs, or since when it
        is rented, or names the GPU or the provider and the GPU is here."""
        if self.waits():
            return False
        if self.per_hour is not None or self.lease_start not in ("run", "gpu"):
            return True
        stated = self.name or self.provider
        return bool(stated and found) and self.name in (None, _known(found, quiet=True))

    def rehearsed(self) -> Self:
        """For nothing, on whatever machine this is."""
        return type(self)(per_hour=Decimal(0))

    def rate(
        self, day: date, found: tuple[detect.DetectedGpu, ...] = ()
    ) -> GpuRate | Stated | None:
        """What an hour of one GPU costs: as the recipe says, else by the price book: of the GPU that is named or was found,
        at the provider that is named or at the middle one. None where nothing is named, found or priced."""
        if self.per_hour is not None:
            return Stated(self.name or "", self.per_hour, self.granularity or 1)
        name = self.name or _known(found)
        if name is None:
            return None
        if self.provider is not None:
            return rate_of(name, day, self.provider)
        offers = [rate for rate in gpu_rates(day) if rate.gpu == name]
        return offers[len(offers) // 2] if offers else rate_of(name, day)


@dataclass(frozen=True)
class Stated:
    """An hourly price that the recipe gives."""

    gpu: str
    per_hour: Decimal
    granularity: int
    source: str = "gpu.per_hour of the recipe"

    @property
    def id(self) -> str:
        return f"g0-{digest_of(self.to_row())[:16]}"

    @property
    def nanodollars_per_hour(self) -> int:
        return round(Fraction(self.per_hour) * NANO)

    def to_row(self) -> dict[str, Any]:
        return {
            "gpu": self.gpu,
            "per_hour": f"{self.per_hour.normalize():f}",
            "granularity": self.granularity,
            "source": self.source,
        }


@dataclass(frozen=True)
class LeaseTerms:
    """What a lease costs, in plain figures: what its first beat keeps, so that anyone can close it."""

    class_: Class  # gpu, or machine where there is none and nobody bills it
    name: str
    gpus: tuple[str, ...] = ()  # UUIDs of those that were found
    per_hour: int = 0  # nano-dollars for the whole machine
    granularity: int = 1  # seconds
    since: int | None = None  # milliseconds of the epoch; None: the run's start
    rental: str = ""  # its name in the ledger where several runs share it; empty: one of its own
    watts: float = 0.0  # of all its GPUs together; 0: not known
    pue: float = NO_OVERHEAD.value
    kg_per_kwh: float = GRID.value
    per_kwh: int = 0  # nano-dollars
    rate: GpuRate | Stated | None = None
    says: str = ""

    @property
    def energy_per_hour(self) -> int:
        """Nano-dollars for electricity at the power limit."""
        return round(Fraction(self.watts * self.pue) * self.per_kwh / 1000)

    @property
    def free(self) -> bool:
        return not self.per_hour and not self.energy_per_hour

    def to_stop_in(self, grace: float, class_: Class | None = None) -> int:
        """Nano-dollars that are kept free below a cap of this class, so that a run can store its work: gpu.grace and a billing
        interval. Electricity meets only caps of no class."""
        seconds = Fraction(grace) + (self.granularity if self.granularity > 1 else 0)
        energy = 0 if class_ else self.energy_per_hour
        return ceil((self.per_hour + energy) * seconds / 3600)


IDLE = LeaseTerms("machine", "this machine")  # not rented: its minutes are kept, at nothing


def unpaid(table: GpuTable) -> LeaseTerms:
    """Of a machine that is not rented while no step uses a GPU: its minutes are kept, at $0, which is said."""
    found = detect.gpus()
    if table.waits():
        why = (
            "this machine's time is counted at $0 until a step uses the GPU (gpu.lease_start: gpu)"
        )
    elif found:
        why = (
            "no step of this run uses the GPU of this machine: its time is counted at $0; where it is rented, give its price: "
            "gpu.per_hour"
        )
    else:
        why = _another(table, found) or _NO_RATE
    return replace(IDLE, says=why)


def terms(table: GpuTable, day: date, on_gpu: bool) -> LeaseTerms:
    """Of a run that has steps for the GPU, or has none. Raises UserError for a GPU without a price, before it is used."""
    found = detect.gpus()
    if not on_gpu and not table.rented_anyway(found):
        return unpaid(table)
    other = _another(table, found)
    if table.name and not found and other:
        table.rate(
            day
        )  # a name or a provider that is not in the book is refused before anything is spent
        return replace(IDLE, says=other)
    # of another GPU than the one that is named, its own price: of the named provider, else of whoever lets it
    billed = table.model_copy(update={"name": None}) if other else table
    if other and not any(
        (rate.gpu, rate.provider) == (_known(found, quiet=True), table.provider)
        for rate in gpu_rates(day)
    ):
        billed = billed.model_copy(update={"provider": None})
    rate = billed.rate(day, found)
    since, rental = _since(table)
    count = len(found) if other else table.count or len(found) or 1
    per_hour = rate.nanodollars_per_hour * count if rate else 0
    name = (rate.gpu if rate else "") or billed.name or _known(found, quiet=True) or ""
    sheet = gpus().get(name)
    each = table.watts or (sheet.watts if sheet else None)
    watts = each * count if each else sum(gpu.watts or 0 for gpu in found)
    # a machine that nobody bills is taken for one's own, without a data centre around it
    pue = table.pue if table.pue is not None else (PUE if per_hour else NO_OVERHEAD).value
    granularity = table.granularity or (rate.granularity if rate else 1)
    # whatever this table bills is of class gpu, so that budget.gpu holds it, be it a machine without one
    return LeaseTerms(
        "gpu" if found or table.name or per_hour else "machine",
        f"{count} x {name}" if name else "this machine",
        tuple(sorted(gpu.uuid for gpu in found)),
        per_hour,
        granularity,
        since,
        rental,
        watts,
        pue,
        GRID.value if table.kg_per_kwh is None else table.kg_per_kwh,
        nanodollars(table.per_kwh) if table.per_kwh else 0,
        rate,
        "; ".join(filter(None, (other, _said(billed, found, rate, count)))),
    )


def _known(found: tuple[detect.DetectedGpu, ...], quiet: bool = False) -> str | None:
    """The short name of the GPU in this machine. UserError for one that the price book does not know."""
    if not found:
        return None
    gpu = gpu_named(found[0].name)
    if gpu is None and not quiet:
        raise UserError(
            f"no rate is known for the GPU of this machine, '{found[0].name}'",
            "say what an hour of it costs: gpu.per_hour: 1.20 (0 if it is free)",
        )
    return gpu.name if gpu else found[0].name


def _since(table: GpuTable) -> tuple[int | None, str]:
    if table.lease_start == "run" or table.lease_start == "gpu":
        return None, ""
    from alpaca_pipe.ledger.store.connection import machine_id

    if table.lease_start == "boot":
        booted = detect.booted()
        if booted is None:
            raise UserError(
                "gpu.lease_start: when this machine was started cannot be read here",
                "write the time: gpu.lease_start: 2026-11-21T08:00:00Z",
            )
        return round(booted * 1000), f"lease-{digest_of([machine_id(), detect.boot_id()])[:16]}"
    if table.lease_start > datetime.now(UTC):
        raise UserError(
            f"gpu.lease_start: {table.lease_start} has not come yet",
            "give the time at which the rental began",
        )
    return (
        round(table.lease_start.timestamp() * 1000),
        f"lease-{digest_of([machine_id(), table.lease_start.astimezone(UTC).isoformat()])[:16]}",
    )


def _another(table: GpuTable, found: tuple[detect.DetectedGpu, ...]) -> str:
    """That this machine is not the one that is named, so that its minutes are not booked at that one's price; "" where it is,
    or where the recipe gives the price itself."""
    if not table.name or table.per_hour is not None or table.name == _known(found, quiet=True):
        return ""
    if not found:
        return (
            f"no {table.name} is found here, so this machine's time is counted at $0; if it is one that cannot be seen, give its "
            "price: gpu.per_hour"
        )
    return f"this machine has {len(found)} x {found[0].name} and no {table.name}: its own price is taken"


def _said(
    table: GpuTable,
    found: tuple[detect.DetectedGpu, ...],
    rate: GpuRate | Stated | None,
    count: int,
) -> str:
    if rate is None:
        return _NO_RATE
    if table.per_hour == 0:
        return ""
    who = f"{rate.provider}, checked {rate.checked}" if isinstance(rate, GpuRate) else rate.source
    middle = "; the middle of the book's prices, name gpu.provider or gpu.per_hour for yours"
    since = {
        "run": "this run's start",
        "gpu": "the first step that uses it",
        "boot": "the machine's start",
    }.get(str(table.lease_start), str(table.lease_start))
    other = ""
    if table.name and table.name != _known(found, quiet=True):
        other = f"; found here: {found[0].name if found else 'no GPU'}"
    return (
        f"{count} x {rate.gpu or 'this machine'} at {shown(rate.nanodollars_per_hour)} an hour from {since} ({who}"
        f"{middle if isinstance(rate, GpuRate) and table.provider is None else ''}{other})"
    )
