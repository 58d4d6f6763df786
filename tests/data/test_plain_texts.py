"""Plain texts: what is read, what is held out, and what is refused in a sentence."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.plain_texts import _split, read_texts
from alpaca_pipe.data.texts_table import TextsTable


def table(*sources: Path, **more: Any) -> TextsTable:
    return TextsTable.model_validate({"from": [str(one) for one in sources], **more})


@given(
    texts=st.lists(st.text("ab", min_size=1, max_size=50), min_size=2, max_size=9, unique=True),
    share=st.floats(0.01, 0.9),
)
def test_nothing_is_lost_and_nothing_stands_on_both_sides(texts: list[str], share: float) -> None:
    train, held_out = _split(texts, share)
    assert sorted(train + held_out) == sorted(texts) and train and held_out
    if len(train) > 1:
        assert sum(map(len, held_out)) >= share * sum(map(len, texts))


def test_of_one_text_the_end_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("0123456789")
    assert read_texts(table(tmp_path / "one.txt", held_out=Decimal("0.2"))) == (
        ["01234567"],
        ["89"],
    )


def test_a_folder_of_texts_and_rows_says_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Alpha.")
    (tmp_path / "b.txt").write_text("Alpha.")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    (tmp_path / "d.jsonl").write_text('{"text": "Beta."}\n{"text": "Gamma."}\n')
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.txt").write_text("Delta.")
    said: list[str] = []
    found = read_texts(table(tmp_path), said.append)
    assert sorted(found.train + found.held_out) == ["Alpha.", "Beta.", "Gamma."]
    read = ("a.md", "b.txt", "empty.txt", "d.jsonl")  # what a plan reckons with
    size = sum((tmp_path / name).stat().st_size for name in read)
    assert table(tmp_path).characters() == int(size * Decimal("0.9"))
    assert "texts: 1 files ending in .png are left out" in said
    assert "texts: 1 empty texts are left out" in said
    assert "texts: 1 texts stand there twice and are read once" in said


def test_what_is_no_text_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"body": "x"}) + "\n")
    with pytest.raises(UserError, match=r"rows.jsonl:1: a row has no text in column 'text' .*body"):
        read_texts(table(tmp_path / "rows.jsonl"))
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(UserError, match="is not UTF-8 text"):
        read_texts(table(tmp_path / "latin.txt"))
    (tmp_path / "blank.txt").write_text("\n")
    with pytest.raises(UserError, match="holds no text"):
        read_texts(table(tmp_path / "blank.txt"))
    (tmp_path / "short.txt").write_text("a")
    with pytest.raises(UserError, match="too little text"):
        read_texts(table(tmp_path / "short.txt"))


def test_the_programs_own_source_is_known_by_its_python_files() -> None:
    own = TextsTable.model_validate({"from": "own"})
    assert own.identity() == TextsTable.model_validate({"from": ["own"]}).identity()
    found = read_texts(own)
    assert len(found.train) > len(found.held_out) > 10
    assert own.characters() > 1_000_000


def test_half_of_a_surrogate_pair_is_no_crash(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "one two"}\n{"text": "half \\ud83d a pair"}\n')
    train, held_out = read_texts(table(rows))
    assert sorted(train + held_out) == ["half \ufffd a pair", "one two"]


def test_a_file_that_is_read_as_rows_is_another_than_the_same_bytes_as_a_text(
    tmp_path: Path,
) -> None:
    for name in ("a.jsonl", "b.jsonl", "a.txt"):
        (tmp_path / name).write_text('{"text": "one"}\n{"text": "two"}\n')
    one, other, text = (table(tmp_path / n).identity() for n in ("a.jsonl", "b.jsonl", "a.txt"))
    assert one == other != text
