"""Who may come in, by the headers alone; the oracle is a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.pages.door import Door, stays_here
from alpaca_pipe.serve.run import drawn_key


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, here: bool) -> None:
    assert stays_here(host) is here


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("127.0.0.1:8080", None),
        ("localhost", None),
        ("LOCALHOST:1", None),
        ("[::1]:8080", None),
        ("", 421),
        ("localhost.evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil@127.0.0.1.example", 421),
    ],
)
def test_a_name_pointed_at_this_machine_is_not_this_machine(host: str, says: int | None) -> None:
    found = Door("127.0.0.1", "").refuses({"Host": host})
    assert (found.status if found else None) == says


def test_elsewhere_the_key_decides_and_a_page_needs_none() -> None:
    door = Door("0.0.0.0", "k")
    asked = {"Host": "box.lan:8080"}
    assert door.refuses(asked) and not door.refuses(asked, keyless=True)
    assert not door.refuses({**asked, "Authorization": "Bearer k"})
    assert not door.refuses({**asked, "Authorization": "Bearer k", "Origin": "http://box.lan:8080"})
    assert door.refuses({**asked, "Authorization": "Bearer k", "Origin": "http://box.lan:9"})


@given(st.text())
def test_no_other_text_is_the_key(text: str) -> None:
    found = Door("127.0.0.1", "right").refuses(
        {"Host": "localhost", "Authorization": f"Bearer {text}"}
    )
    assert (found is None) == (text.strip() == "right")


def test_a_key_is_drawn_where_others_can_reach_us() -> None:
    said: list[str] = []
    assert drawn_key("127.0.0.1", "", said.append) == "" and not said
    assert drawn_key("0.0.0.0", "mine", said.append) == "mine" and not said
    one, other = (drawn_key("0.0.0.0", "", said.append) for _ in range(2))
    assert len(one) >= 32 and one != other and one in said[0]
