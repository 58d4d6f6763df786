"""The shipped sheets of figures are YAML files, and their tables are read as they stand."""

from __future__ import annotations

from importlib.resources import files

import pytest
from ruamel.yaml import YAML

from alpaca_pipe.ledger.pricing.price_tables import names, sheet


@pytest.mark.parametrize("name", names())
def test_a_sheet_says_what_its_yaml_says(name: str) -> None:
    text = (
        files("alpaca_pipe.ledger").joinpath("prices", f"{name}.yaml").read_text(encoding="utf-8")
    )
    whole = YAML(typ="safe", pure=True).load(text)
    first, *lines = whole.pop("rows").splitlines()
    for names_and_end in whole.get("ends", {}).values():  # a day is text here
        names_and_end[0] = str(names_and_end[0])
    assert sheet(name).head == whole and whole["kind"] in ("tokens", "gpus", "hosted", "hardware")
    assert len(sheet(name).rows) == len(lines) > 0
    for row in sheet(name).rows:
        assert set(row) <= set(first.split()) and row["source"] in whole["sources"].values()


def test_every_source_is_used() -> None:
    for name in names():
        head = sheet(name).head
        ends = {head["sources"][end[1]] for end in head.get("ends", {}).values()}
        assert set(head["sources"].values()) == ends | {
            row["source"] for row in sheet(name).rows
        }, name
