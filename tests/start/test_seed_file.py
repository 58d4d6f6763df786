"""Rows appended to a seed file: what was there stays byte for byte, what is added is read back as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped
from alpaca_pipe.generate.seeds.seed_file import append
from alpaca_pipe.generate.seeds.seeds import SeedRow, read_seeds

ROW = SeedRow(
    instruction="Say, in one\nword, what it is.",
    output='An "animal"; so',
    topic="cats",
    classification=True,
    source="notes/a.md#0-12",
    drafted_by="gpt-4.1-nano",
)
HELD = {
    "a.jsonl": '{"instruction": "Name it.", "output": "x"}',
    "b.jsonl": '{"instruction": "Name it.", "output": "x"}\r\n',
    "c.csv": 'instruction,output,topic,classification,source,drafted_by\n"Name\nit.",x,,,,\n',
    "d.csv": "instruction;output;topic;classification;source;drafted_by\r\nName it.;x;;;;",
}


@pytest.mark.parametrize("name", HELD)
def test_what_was_there_stays_as_it_was_written(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(HELD[name].encode())
    append(file, [ROW, ROW])
    assert file.read_bytes().startswith(HELD[name].encode())
    old, *new = read_seeds(file)
    assert old.example.output == "x" and len(new) == 2
    for seed in new:
        assert (seed.example.instruction, seed.example.output, seed.topic, seed.classification) == (
            ROW.instruction,
            ROW.output,
            "cats",
            True,
        )
        assert seed.example.origin.details == {"source": ROW.source, "drafted_by": ROW.drafted_by}


def test_a_csv_without_the_columns_gets_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeffinstruction,output\nName it.,x\n")
    append(tmp_path / "a.csv", [ROW])
    first, second = read_seeds(tmp_path / "a.csv")
    assert (
        first.example.instruction == "Name it."
        and second.example.origin.details["source"] == ROW.source
    )


@settings(deadline=None, max_examples=60)
@example("a\u2028b", "a.csv")
@given(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), min_size=1
    ).filter(lambda text: text.strip() != ""),
    st.sampled_from(["a.csv", "a.jsonl"]),
)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str
) -> None:
    file = tmp_path_factory.mktemp("seeds") / name
    append(file, [SeedRow(instruction=text, output=text, input=text)])
    (seed,) = read_seeds(file)
    assert (seed.example.instruction, seed.example.input, seed.example.output) == (text, text, text)


def test_shipped_seeds_are_not_added_to() -> None:
    before = (shipped("seed_tasks") / "short.jsonl").read_bytes()
    with pytest.raises(UserError, match="these seed tasks are shipped"):
        append(shipped("seed_tasks") / "short.jsonl", [ROW])
    assert (shipped("seed_tasks") / "short.jsonl").read_bytes() == before
