"""Rows that are added to a file while others read it, and after a crash."""

from __future__ import annotations

from pathlib import Path

from alpaca_pipe.core.files import append_jsonl


def test_rows_appended_behind_a_line_that_a_crash_cut_off_stay_their_own(tmp_path: Path) -> None:
    file = tmp_path / "new" / "rows.jsonl"
    append_jsonl(file, [{"a": 1}])
    with file.open("a") as stream:
        stream.write('{"b": ')
    append_jsonl(file, [{"c": 3}, {"d": 4}])
    assert file.read_text().splitlines() == ['{"a": 1}', '{"b": ', '{"c": 3}', '{"d": 4}']
