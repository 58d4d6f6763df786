"""No ESC, C1, bidi mark or carriage return of anybody's text reaches a terminal, by whichever way it is printed."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from alpaca_pipe.core.screen import echo, echo_json, json_text, new_console, visible
from tests.attack.examples import many

OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
OURS = re.compile(r"\x1b\[[0-9;]*m")  # rich's colours
NASTY = "a\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202eevil\u2066\x85\u2028b [bold]c[/] [/nobody] [link=http://x]d[/link]"
texts = st.text(
    st.characters(codec="utf-8") | st.sampled_from("\x1b\x07\x9b\r\u202e\u2066\x85\u2028[]/\ud800"),
    max_size=40,
)


@many
@given(texts)
def test_visible_holds_nothing_that_is_obeyed_and_keeps_what_is_read(text: str) -> None:
    seen = visible(text)
    assert not OBEYED.search(seen) and visible(seen) == seen
    seen.encode()
    assert [c for c in text if c.isalnum()] == [
        c for c in re.sub("⟨(ESC|U\\+[0-9A-F]+)⟩", "", seen) if c.isalnum()
    ] or "⟨" in text
    assert seen.count("\n") == len(re.findall("\r\n|\r|\n", text))


@many
@given(texts)
def test_every_way_of_printing_passes_through_it(text: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        echo(text)
        echo(text, err=True)
    coloured = io.StringIO()
    console = new_console(file=coloured, force_terminal=True, width=60)
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    for thing in (text, Text(text, style="bold"), table):
        console.print(thing, style="red")
    console.out(text)
    console.rule(text)
    for said in (out.getvalue(), err.getvalue(), OURS.sub("", coloured.getvalue())):
        assert not OBEYED.search(said)


@many
@given(
    st.recursive(
        texts | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    )
)
def test_json_for_programs_is_lossless_and_harmless(value: Any) -> None:
    text = json_text(value)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)
    assert json.loads(text) == json.loads(json.dumps(value))
    text.encode()
    out = io.StringIO()
    with redirect_stdout(out):
        echo_json(value)
    assert json.loads(out.getvalue()) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    "markup", ["[bold]x[/]", "[/nobody]", "[link=http://x]y[/link]", "[x", "\\[x]"]
)
def test_brackets_in_a_text_are_brackets(markup: str) -> None:
    out = io.StringIO()
    new_console(file=out, force_terminal=True, highlight=False, width=60).print(markup)
    assert OURS.sub("", out.getvalue()).rstrip("\n") == markup
