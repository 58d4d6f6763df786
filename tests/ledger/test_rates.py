"""GPUs: what they are called, what they are, what an hour costs; and what a provider's tuning costs."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.pricing.gpu_rates import (
    GpuRate,
    gpu_book,
    gpu_named,
    gpu_rates,
    gpus,
    hosted_book,
    hosted_rates,
    rate_of,
)

DAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("detected", "gpu"),
    [
        ("NVIDIA H200", "H200"),
        ("NVIDIA H200 NVL", "H200-NVL"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100-PCIe"),
        ("NVIDIA H100 NVL", "H100-NVL"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA A100-SXM4-80GB", "A100-80"),
        ("NVIDIA A100 80GB PCIe", "A100-80"),
        ("NVIDIA A100-SXM4-40GB", "A100-40"),
        ("NVIDIA A100-PCIE-40GB", "A100-40"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L40", "L40"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A10", "A10"),
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA GeForce RTX 3090", "RTX3090"),
        ("NVIDIA RTX A6000", "A6000"),
        ("AMD Instinct MI300X", "MI300X"),
        ("H100", "H100"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA GeForce RTX 4090 D", None),
        ("NVIDIA GeForce RTX 3090 Ti", None),
        ("llvmpipe", None),
        ("", None),
    ],
)
def test_a_drivers_name_is_a_gpu_that_we_know_or_none(detected: str, gpu: str | None) -> None:
    known = gpu_named(detected)
    assert (known.name if known else None) == gpu


def test_every_gpu_has_a_datasheet() -> None:
    for name, gpu in gpus().items():
        assert (
            gpu.name == name and 14 < gpu.memory_gib < 300 and 60 < gpu.watts <= 1500 and gpu.source
        )
        assert 50 < gpu.bf16_tflops < 5000
        assert gpu_named(name) == gpu


def test_every_rate_is_of_a_gpu_that_we_know_with_source_and_day() -> None:
    for rate in gpu_book():
        assert rate.gpu in gpus() and rate.per_hour > 0 and rate.granularity >= 1
        assert rate.source and rate.start and rate.checked <= DAY
    assert {
        "A100-40",
        "A100-80",
        "H100",
        "H200",
        "L4",
        "A10G",
        "L40S",
        "RTX4090",
        "RTX3090",
        "B200",
        "T4",
        "MI300X",
    } <= {rate.gpu for rate in gpu_rates(DAY)}


def test_rates_of_one_gpu_at_one_provider_never_overlap() -> None:
    last: dict[tuple[str, str], GpuRate] = {}
    for rate in gpu_book():
        before = last.get((rate.gpu, rate.provider))
        if before is not None:
            assert before.end and rate.start == before.end + timedelta(days=1), rate
        last[rate.gpu, rate.provider] = rate


def test_the_cheapest_is_first_and_a_provider_may_be_named() -> None:
    rates = [rate for rate in gpu_rates(DAY) if rate.gpu == "H200"]
    assert rates == sorted(rates, key=lambda rate: rate.per_hour) and len(rates) > 5
    assert rate_of("H200", DAY) == rates[0]
    assert rate_of("H200", DAY, "hyperstack").per_hour == Decimal("3.99")
    assert rate_of("H200", DAY, "hyperstack").nanodollars_per_hour == 3_990_000_000


def test_the_rate_of_the_day_is_taken() -> None:
    assert rate_of("H100", date(2026, 10, 23), "nebius").per_hour == Decimal("3.85")
    assert rate_of("H100", date(2026, 10, 24), "nebius").per_hour == Decimal("4.5")


def test_an_unknown_gpu_or_provider_is_an_error_that_says_how_to_pin() -> None:
    with pytest.raises(
        UserError,
        match=r"no rate is known for the GPU 'H20O' .*did you mean 'H200'\?.*pin-price --gpu",
    ):
        rate_of("H20O", DAY)
    with pytest.raises(UserError, match="'H200' at 'nobody' .*it is known at .*hyperstack"):
        rate_of("H200", DAY, "nobody")
    with pytest.raises(UserError, match="no rate is known"):
        rate_of("H200", date(2020, 1, 1))


def test_the_id_of_a_rate_changes_with_everything_that_was_said() -> None:
    first, other = rate_of("H200", DAY, "aws"), rate_of("H200", DAY, "gcp")
    assert first.id.startswith("g1-") and first.id != other.id
    assert first.to_row()["per_hour"] == "7.912" and first.to_row()["start"] == "2026-09-19"


def test_tuning_by_the_provider_has_source_and_day() -> None:
    assert hosted_rates(DAY) and all(
        rate.per_million > 0 and rate.source and rate.checked <= DAY for rate in hosted_book()
    )
    names = [(rate.provider, rate.model, rate.method) for rate in hosted_book()]
    assert len(names) == len(set(names))
    assert {"openai", "together", "fireworks"} <= {rate.provider for rate in hosted_rates(DAY)}
    mini = next(rate for rate in hosted_rates(DAY) if rate.model == "gpt-4.1-mini")
    assert mini.per_million == 5 and mini.to_row()["minimum"] == "0"
