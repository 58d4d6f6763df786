"""An input that says there is none becomes empty, under a new id that names its parent."""

from __future__ import annotations

import pytest

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate.repairs import repaired, without_no_input

ORIGIN = Origin("generated", "r1-7", ("e1-seed",), {"place": "0/1/2"})


def row(input: str) -> Example:
    return Example.of("Tell me a joke.", input, "Knock, knock.", ORIGIN)


@pytest.mark.parametrize("input", ["No input", "<noinput>", "NOINPUT", "N/A", "n / a", "None.", '"<noinput>"',
                                   "`<noinput>`", "[No Input]", "(no input)", "No input required.", "\\<noinput\\>",
                                   "No input was given", "Not applicable", " <noinputs>,"])
def test_spellings_of_nothing(input: str) -> None:
    mended = without_no_input(row(input))
    assert mended and mended.input == "" and mended.id == row("").id
    assert mended.origin == Origin("generated", "r1-7", (row(input).id,), {"place": "0/1/2", "repair": "no_input"})


@pytest.mark.parametrize("input", ["", "No", "Nonesuch", "He was <noinput>", "No input, no output", "none of them",
                                   "N/A and other abbreviations", "<image>", "."])
def test_near_misses_stay(input: str) -> None:
    assert without_no_input(row(input)) is None


def test_ids_stay_unique() -> None:
    rows = [row(""), row("N/A"), row("none")]
    after = [(example.id.removeprefix(row("").id), before) for example, before in repaired(rows)]
    assert after == [("", None), ("#2", rows[1]), ("#3", rows[2])]


def test_a_sound_row_gives_way_to_a_repaired_one_before_it() -> None:
    assert [example.id for example, _ in repaired([row("N/A"), row("")])] == [row("").id, f"{row('').id}#2"]
