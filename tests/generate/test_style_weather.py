"""The styles that take a ground or several steps make the same bytes in any weather, and each piece has one verdict."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.errors import Stopped
from alpaca_pipe.generate.sources.context import of_documents
from alpaca_pipe.generate.sources.ground import Ground
from tests.generate.scripted import LONG, ROWS, VET, Scripted, dataset, rules, run

CASES: dict[str, tuple[str, Sequence[Ground], dict[str, Any]]] = {
    "documents": ("documents", of_documents([VET], 120), {}),
    "orca": ("orca", ROWS, {"count": 25}),
    "evol": ("evol", ROWS, {"count": 40, "depth": 3}),
    "self-instruct": ("self-instruct", (), {"count": 40, "round_size": 2}),
}
cases = pytest.mark.parametrize("case", CASES)


def made(script: Scripted, case: str) -> Any:
    style, grounds, keys = CASES[case]
    return run(script, style, grounds, **keys)


@cases
def test_the_same_bytes_at_any_concurrency(case: str) -> None:
    first = made(Scripted(1), case)
    assert len(first.examples) >= 25
    assert len(first.rounds) > 1
    for concurrency in (8, 64):
        assert dataset(made(Scripted(concurrency), case)) == dataset(first)


@cases
def test_stopped_and_resumed_nothing_is_asked_twice(case: str) -> None:
    whole, part = Scripted(), Scripted()
    expected = dataset(made(whole, case))
    for stop_after in (1, 5, 9):
        part.stop_after = stop_after
        with pytest.raises(Stopped):
            made(part, case)
    part.stop_after = None
    assert dataset(made(part, case)) == expected
    assert part.sent == whole.sent


@cases
def test_nothing_vanishes(case: str) -> None:
    done = made(Scripted(), case)
    assert len(done.examples) + len(done.rejected) == sum(seat["pieces"] for seat in done.seats)
    assert len(done.examples) == sum(seat["accepted"] for seat in done.seats)
    assert all(rejected.rule and rejected.reason for rejected in done.rejected)
    assert all(seat["pieces"] > 0 for seat in done.seats)
    assert {
        "documents": {"ungrounded"},
        "orca": {"cut_off"},
        "evol": {"no_gain", "talks_about_it"},
        "self-instruct": {"likeness", "cut_off"},
    }[case] <= set(rules(done))


HELL = [
    "",
    " \n",
    "\x00",
    "{",
    "```json\n",
    "[]",
    "null",
    "1.\n2.\n3.",
    "9. a\n\n10. ",
    "yes",
    "No.",
    "Sure! Here you go:\n",
    "sorry",
    "Example 1\nInput: a\nOutput:",
    "Output: x\nOutput: y",
    "Class label:\nClass label: b\nInput:",
    "<task>",
    "#" * 50,
    "\u2028\u2029\u0085",
    "half \ud800",
    "ﷺ" * 100,
    "a\r\nb\rc",
    '{"tasks": []}',
    '{"tasks": [{"instruction": "Name it all now?"}]}',
    '{"instruction": "What is said of cats?", "output": "Indoors."}',
    "9." * 2000,
    "Input: " * 2000,
    "sure " * 2000,
]


@cases
@settings(max_examples=25, deadline=None)
@given(chance=st.integers(0, 2**32), noise=st.text(max_size=60))
def test_replies_from_hell(case: str, chance: int, noise: str) -> None:
    """Scripted replies, cut, glued, replaced by junk: no exception, each seat has its pieces, all of it can be written."""

    def says(request: Request) -> str:
        drawn = random.Random(f"{chance} {request.messages[-1].content}")
        usual = Scripted().says(request)
        junk = drawn.choice([*HELL, noise])
        at = drawn.randrange(len(usual) + 1)
        return drawn.choice(
            [
                usual,
                junk,
                usual[:at],
                usual[at:],
                usual[:at] + junk + usual[at:],
                junk + usual,
                usual + junk,
            ]
        )

    style, grounds, keys = CASES[case]
    done = run(Scripted(says=says), style, grounds, **keys | {"count": 12, "max_requests": 60})
    assert len(done.examples) + len(done.rejected) == sum(seat["pieces"] for seat in done.seats)
    assert all(seat["pieces"] > 0 for seat in done.seats)
    dataset(done).encode()
    for row in done.examples:
        assert row.instruction.strip() and row.output.strip()
        for text in (row.instruction, row.input, row.output, row.system):
            text.encode()


@cases
def test_a_reply_of_a_megabyte_ends_soon(case: str) -> None:
    style, grounds, keys = CASES[case]
    for junk in (
        "9. a\n" * (LONG // 5),
        "Input: a\nOutput: b\n" * (LONG // 19),
        "{" * LONG,
        "word " * (LONG // 5),
        "A" * LONG,
        "Example 1\n" * (LONG // 10),
        "Class label: x\n" * (LONG // 15),
        '{"tasks": [{"instruction": "What is said of cats?", "output": "'
        + "indoors " * (LONG // 8)
        + '"}]}',
        '{"tasks": [' * (LONG // 11),
        ": sorry I " * (LONG // 10),
    ):
        done = run(
            Scripted(says=lambda request, junk=junk: junk),
            style,
            grounds,  # type: ignore[misc]
            **keys | {"max_requests": 15 if style == "self-instruct" else 2, "round_size": 1},
        )
        assert done.seats
