"""The planner's known-answer test: published figures, recomputed by the code that `plan` uses."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest

from alpaca_pipe.ledger.machine.energy import LLAMA_PUE, US_GRID, carbon_kg, energy_kwh
from alpaca_pipe.planner.claim import Claim, compared
from alpaca_pipe.planner.claims import print_claims
from alpaca_pipe.planner.published import claims

DAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def found() -> dict[str, Claim]:
    return {claim.name: claim for claim in claims(DAY)}


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\.?\d*", text)]


@pytest.mark.parametrize(
    "model, mwh, tonnes",
    [
        ("OPT-175B", 356, 137),
        ("BLOOM-175B", 475, 183),
        ("LLaMA-7B", 36, 14),
        ("LLaMA-13B", 59, 23),
        ("LLaMA-33B", 233, 90),
        ("LLaMA-65B", 449, 173),
    ],
)
def test_llamas_table_15(found: dict[str, Claim], model: str, mwh: float, tonnes: float) -> None:
    claim = found[f"table 15: {model}"]
    assert claim.verdict == "holds"
    energy, carbon = numbers(claim.ours)
    assert abs(energy - mwh) < 1.5 and round(carbon) == tonnes


def test_what_adds_up(found: dict[str, Claim]) -> None:
    assert (
        "1,023,392 h" in found["65B in 21 days"].formula
        and "20.8 days" in found["65B in 21 days"].ours
    )
    assert "25M tokens = 481 for each kept row" in found["Alpaca's data under $500"].formula
    tuning = found["Alpaca's tuning under $100"].formula
    assert "at most $4.17 an hour; 10.56 kWh, 4.07 kg CO2e" in tuning
    file = found["the 3.9 GB file"]
    assert (
        "4.21 GB" in file.formula
        and file.ours == "3.92 GiB then; Q4_0 of today has 4.5 bits: 3.79 GB"
    )
    assert "$83,032" in found["7B and its tuning for $85,000"].ours
    for name in (
        "65B in 21 days",
        "Alpaca's data under $500",
        "Alpaca's tuning under $100",
        "the 3.9 GB file",
        "7B and its tuning for $85,000",
        "ChatGPT costs $700,000 a day",
        "who taught Alpaca",
        "Vicuna-13B for $300",
    ):
        assert found[name].verdict == "holds", name


def test_what_does_not(found: dict[str, Claim]) -> None:
    months = found["2048 GPUs for 5 months"]
    assert "7,372,800 h" in months.formula and months.sentence == "off by a factor of 1.23"
    assert found["13B for 20 % of 65B"].ours.startswith("13.2%")
    assert found["GPT-3 in 3.55 million GPU-hours"].sentence == "off by a factor of 1.14"
    for name in (
        "10^24 operations",
        "a 5,000-fold fall",
        "52 million prompts for $600,000",
        "tuning a 70B for $10,000 to $50,000",
    ):
        assert found[name].verdict == "does not hold" and found[name].why, name


def test_what_cannot_be_known_here_is_said_so(found: dict[str, Claim]) -> None:
    for name in ("Vicuna within 10 %", "LiGO saves 44.7 % and 40.7 %"):
        assert found[name].verdict == "not checkable here" and found[name].why


def test_the_verdict_on_a_price_follows_the_price_book(found: dict[str, Claim]) -> None:
    """$100,000 for 135,168 hours need $0.74; the verdict says by how much the book's lowest price misses that."""
    claim = found["13B under $100,000"]
    price = float(re.search(r"\$(\d+\.\d+) \(", claim.formula)[1])  # type: ignore[index]
    assert claim.verdict == ("holds" if price * 135_168 < 1e5 else "off")


def test_each_claim_has_a_source_a_date_and_a_formula(found: dict[str, Claim]) -> None:
    assert len(found) == len(claims(DAY)) >= 24
    for claim in found.values():
        assert (
            claim.source
            and re.fullmatch(r"20\d\d(-\d\d){0,2}", claim.made)
            and claim.said
            and claim.ours
        )
        assert numbers(claim.formula) or claim.verdict == "not checkable here", claim.name


def test_a_changed_energy_formula_is_noticed() -> None:
    """The table is no tautology: without the overhead, or with today's grid, no row of it comes out."""
    for hours, mwh, tonnes in ((809_472, 356, 137), (1_022_362, 449, 173)):
        assert abs(energy_kwh(hours, 400, 1.0) / 1000 - mwh) > 1.5
        assert round(carbon_kg(energy_kwh(hours, 400, LLAMA_PUE.value), 0.473) / 1000) != tonnes
        assert (
            round(carbon_kg(energy_kwh(hours, 400, LLAMA_PUE.value), US_GRID.value) / 1000)
            == tonnes
        )


@pytest.mark.parametrize(
    "said, ours, sentence",
    [
        (100, 104, ("holds", "")),
        (100, 120, ("off", "by a factor of 1.2")),
        (100, 50, ("off", "by a factor of 2")),
    ],
)
def test_a_figure_may_be_off_either_way(
    said: float, ours: float, sentence: tuple[str, str]
) -> None:
    assert compared(said, ours) == sentence


def test_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_claims(day=DAY)
    text = capsys.readouterr().out
    print_claims(json=True, day=DAY)
    rows = json.loads(capsys.readouterr().out)
    assert f"{len(rows)} claims: " in text.splitlines()[-1]
    for row in rows:
        assert row["said"] in text and row["verdict"] in (
            "holds",
            "off",
            "does not hold",
            "not checkable here",
        )
