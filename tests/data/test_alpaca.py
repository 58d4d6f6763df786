"""Foreign files in: every row is read with its line, every bad row is told with its line."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.data.alpaca import read_alpaca
from alpaca_pipe.data.publish import write_alpaca_json

STANFORD = "2eddafc6b977608d778aaab8dfc7e50e547b3af9826dfb9e909d9fc362e4a419"  # shared/data/README.md
ROW = {"instruction": "Add.", "input": "1 2", "output": "3"}


def told(path: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        list(read_alpaca(path))
    errors = caught.value.errors if isinstance(caught.value, UserErrors) else (caught.value,)
    assert all(error.cure for error in errors)
    return [error.what.removeprefix(str(path)) for error in errors]


def test_list_and_lines_give_the_same_rows_with_their_lines(tmp_path: Path) -> None:
    rows = [ROW, {"instruction": "Hi\u2028there", "output": ""}, ROW]
    whole, lines = tmp_path / "a.json", tmp_path / "a.jsonl"
    whole.write_text("\ufeff" + json.dumps(rows, indent=4), encoding="utf-8")
    lines.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n\n" for row in rows), encoding="utf-8")
    read, read_lines = list(read_alpaca(whole)), list(read_alpaca(lines))
    assert [e.origin.source for e in read] == ["a.json#2", "a.json#7", "a.json#11"]
    assert [e.origin.source for e in read_lines] == ["a.jsonl#1", "a.jsonl#3", "a.jsonl#5"]
    assert [e.id for e in read] == [e.id for e in read_lines]
    assert read[2].id == f"{read[0].id}#2"
    assert read[1].instruction == "Hi\u2028there" and read[1].input == ""


def test_null_input_is_no_input(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"instruction": "Hi", "input": null, "output": "x", "text": 1}\n')
    assert next(read_alpaca(path)).input == ""


def test_all_bad_rows_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"instruction": "a", "output": 3}\n{"instructions": "a", "output": ""}\n'
                    '{"instruction": "a", "output": "b"}\n[1]\n{broken\n{"instruction": null, "output": ""}\n')
    found = told(path)
    assert [text.split(" ")[0] for text in found] == [":1:", ":2:", ":4:", ":5:", ":6:"]
    assert found[0] == ":1: 'output' is a number, not a text"
    assert "has no 'instruction'" in found[1] and "not JSON" in found[3]


@pytest.mark.parametrize("text, where, says", [
    ("", "", "no rows"),
    ("[]", "", "no rows"),
    ('[\n{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": "b"}]', ":3:", "','"),
    ('[\n{"instruction": "a", "output": "b"},\n{"instruction', ":3:", "not JSON"),
    ('[\n\n"text"]', ":3:", "a text, not an object"),
    ('[{"instruction": "a", "output": "b"}]\n[]', ":2:", "after the end"),
    ("[" * 100_000, ":1:", "nested"),
    (r'[{"instruction": "a \ud83d", "output": "b"}]', ":1:", "surrogate"),
])
def test_broken_files(tmp_path: Path, text: str, where: str, says: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    found = told(path)
    assert len(found) == 1 and found[0].startswith(where) and says in found[0]


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes('[{"instruction": "é", "output": ""}]'.encode("latin1"))
    assert "not UTF-8" in told(path)[0]


def test_packed_or_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "rows.json.gz"
    path.write_bytes(gzip.compress(b"[]"))
    with pytest.raises(UserError, match="unpack it first"):
        read_alpaca(path)
    assert "cannot be read: Is a directory" in told(tmp_path)[0]


@settings(max_examples=60)
@given(st.text(max_size=40) | st.text('[]{}":,\\ \nad1', max_size=40))
def test_any_text_is_rows_or_a_user_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    with contextlib.suppress(UserError):
        list(read_alpaca(path))


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=4))
def test_written_as_stanford_writes(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]) -> None:
    path = tmp_path_factory.mktemp("out") / "alpaca_data.json"
    write_alpaca_json(path, (Example.of(*row, Origin("seed")) for row in rows))
    wanted = [dict(zip(("instruction", "input", "output"), row, strict=True)) for row in rows]
    assert path.read_text() == json.dumps(wanted, indent=4)


def test_the_52k_comes_out_byte_for_byte(tmp_path: Path, data: Path) -> None:
    (tmp_path / "in.json").write_bytes(gzip.decompress((data / "alpaca_data.json.gz").read_bytes()))
    rows = list(read_alpaca(tmp_path / "in.json"))
    assert len(rows) == 52_002 and rows[0].origin.source == "in.json#2"
    write_alpaca_json(tmp_path / "out.json", rows)
    assert hashlib.sha256((tmp_path / "out.json").read_bytes()).hexdigest() == STANFORD
