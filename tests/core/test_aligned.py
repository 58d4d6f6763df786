"""Columns of plain text, and parts of a line that have a style."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.aligned import in_columns, text
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.screen import Styled, put


def lines(rows: list[list[str]], **how: object) -> list[str]:
    return ["".join(map(text, line)) for line in in_columns(rows, **how)]  # type: ignore[arg-type]


def test_columns_begin_or_end_together_and_lines_end_where_their_text_does() -> None:
    assert lines([["a", "12", "x"], ["bbb", "3", ""]], right={1}) == ["a    12  x", "bbb   3"]


def test_a_character_that_takes_two_columns_is_counted_as_two() -> None:
    assert lines([["漢字", "x"], ["abcd", "x"], ["e\u0301", "x"]]) == [
        "漢字  x",
        "abcd  x",
        "e\u0301     x",
    ]


@given(st.lists(st.tuples(*[st.text("ab c", max_size=50)] * 3).map(list), min_size=1))
def test_no_cell_is_lost_but_what_is_cut_is_marked(rows: list[list[str]]) -> None:
    for row, line in zip(rows, lines(rows, most=10), strict=True):
        for cell in row:
            assert (cell if len(cell) <= 10 else f"{cell[:9]}…").rstrip() in line


def test_styles_are_for_terminals_and_what_others_wrote_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a ", Styled("\x1b[2J", "bold"))
    assert capsys.readouterr().out == "a ⟨ESC⟩[2J\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    put("a ", Styled("\x1b[2J", "bold"))
    assert capsys.readouterr().out == "a \x1b[1m⟨ESC⟩[2J\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    put(Styled("plain", "bold"))
    assert capsys.readouterr().out == "plain\n"


def test_a_lazy_regex_is_the_pattern() -> None:
    lazy, eager = lazy_regex("(a)|B", re.IGNORECASE), re.compile("(a)|B", re.IGNORECASE)
    assert lazy.findall("xAbb") == eager.findall("xAbb") and lazy.pattern == eager.pattern
    assert lazy.sub("-", "xAbb") == eager.sub("-", "xAbb")
    with pytest.raises(re.error):
        lazy_regex("(").search("x")
