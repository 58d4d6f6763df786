"""How long a forecast takes, and that the judge of forecasts judges. Whether they hold the truth: bands.py, in real runs."""

from __future__ import annotations

from pathlib import Path

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.stage import Estimate, EstimateInputs
from tests.bench.bands import Band, each, in_all
from tests.bench.table import median_seconds, publish


def forecast(name: str, overrides: list[str], workspace: Path | None) -> Estimate:
    """What `plan` says of generation."""
    recipe = load_recipe(name, CATALOG, overrides)
    return CATALOG.stage("generate").estimate(
        recipe.stages["generate"], recipe.everything(), EstimateInputs({}, workspace, name)
    )


def test_a_forecast_is_quick(tmp_path: Path) -> None:
    rows = []
    for name, overrides in (
        ("quickstart", []),
        ("alpaca-7b-lora", []),
        ("alpaca-7b-lora", ["generate.count=52000"]),
    ):

        def once(name: str = name, overrides: list[str] = overrides) -> object:
            return forecast(name, overrides, tmp_path)

        rows.append(
            {
                "forecast": " ".join([name, *overrides]),
                "median s": f"{median_seconds(once):.3f}",
                "limit s": 0.2,
            }
        )
    publish("forecast_time", rows)


def test_bands_are_judged_by_what_came_and_by_their_width() -> None:
    bands = [
        Band(seed, 20, "generate requests", "priors", (50, 60, 100), 60 if seed < 8 else 101)
        for seed in range(10)
    ]
    assert in_all(bands)[0] == {
        "figure": "generate requests",
        "rests on": "priors",
        "inside": "8 of 10",
        "limit": "8 of 10",
        "held": "yes",
        "P90/P10, median": "2.00",
        "was/P50, median": "1.00",
    }
    assert in_all(bands[1:])[0]["held"] == "NO"
    assert [row["on priors"] for row in each(bands)] == 8 * ["in"] + 2 * ["OUT"]
