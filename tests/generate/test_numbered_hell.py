"""Numbered lists from hell: never an exception, never a silently mangled row, never a second too long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Completion, Finish, Usage
from alpaca_pipe.generate.parsing.numbered_list import Bugs, _seven
from alpaca_pipe.generate.parsing.reply import Draft, Piece
from tests.generate.scripted import LONG
from tests.generate.test_alpaca_2023 import NONE, SEAT, style
from tests.proving.released import layout, until

A = {"instruction": "Name the largest lake.", "input": "", "output": "Lake Victoria"}
B = {"instruction": "Put it into Latin.", "input": "water", "output": "aqua"}
AB = [Draft(A["instruction"], "", A["output"]), Draft(B["instruction"], "water", "aqua")]
TWO = layout([A, B])


def read(text: str, bugs: Bugs, finish: Finish = "stop") -> list[Piece]:
    return style(bugs).parse(SEAT, Completion(text, finish, Usage(), "r1-0"))


def said(pieces: list[Piece]) -> list[str]:
    return [piece.output or "" if isinstance(piece, Draft) else piece.rule for piece in pieces]


# What came | as the reference reads it | with its bugs mended
CORPUS: dict[str, tuple[str, list[str], list[str]]] = {
    "as it should be": (TWO, ["Lake Victoria", "aqua"], ["Lake Victoria", "aqua"]),
    "the header again": (
        f"4. Instruction:{TWO}",
        ["Lake Victoria", "aqua"],
        ["Lake Victoria", "aqua"],
    ),
    "a sentence before": (
        f"Sure!\n\n### 4. Instruction:{TWO}",
        ["Lake Victoria", "aqua"],
        ["Lake Victoria", "aqua"],
    ),
    "numbering off by one": (
        TWO.replace("5. ", "6. "),
        ["Lake Victoria", "not_seven_parts"],
        ["Lake Victoria", "aqua"],
    ),
    "numbers begin at 1": (
        re.sub(r"5\. ", "1. ", TWO),
        ["Lake Victoria", "not_seven_parts"],
        ["Lake Victoria", "aqua"],
    ),
    "a number in the middle is off": (
        TWO.replace("5. Input", "6. Input"),
        ["Lake Victoria", "not_seven_parts"],
        ["Lake Victoria", "aqua"],
    ),
    "## for ###": (
        TWO.replace("###", "##"),
        [
            (
                "Lake Victoria\n##\n5. Instruction: Put it into Latin.\n5. Input:\nwater\n"
                "5. Output:\naqua"
            )
        ],
        ["Lake Victoria", "aqua"],
    ),
    "nothing between": (
        TWO.replace("###\n", ""),
        [("Lake Victoria\n5. Instruction: Put it into Latin.\n5. Input:\nwater\n5. Output:\naqua")],
        ["Lake Victoria", "aqua"],
    ),
    "two separators": (
        TWO.replace("###", "###\n###"),
        ["Lake Victoria", "not_seven_parts", "not_seven_parts"],
        ["Lake Victoria", "aqua"],
    ),
    "an input is missing": (
        TWO.replace("5. Input:\nwater\n", ""),
        ["Lake Victoria", "not_seven_parts"],
        ["Lake Victoria", "not_seven_parts"],
    ),
    "an output twice": (
        TWO + "5. Output:\nmore",
        ["Lake Victoria", "not_seven_parts"],
        ["Lake Victoria", "not_seven_parts"],
    ),
    "parts in another order": (" a b c d\n4. Output:\nx\n4. Input:\ny", ["y"], ["not_seven_parts"]),
    "an empty output": (layout([A | {"output": ""}, B]), ["", "aqua"], ["", "aqua"]),
    "Unicode separators": (
        layout([A | {"output": "one\u2028two\u2029three\u0085four\x0bfive"}, B]),
        ["one\u2028two\u2029three\u0085four\x0bfive", "aqua"],
        ["one\u2028two\u2029three\u0085four\x0bfive", "aqua"],
    ),
    "JSON instead": ('{"tasks": []}', ["not_seven_parts"], ["not_seven_parts"]),
    "nothing": ("", ["empty_reply"], ["empty_reply"]),
    "blanks": (" \n\u2028 ", ["empty_reply"], ["empty_reply"]),
    "half a character": (TWO + "\ud800", ["not_unicode"], ["not_unicode"]),
}


@pytest.mark.parametrize("name", CORPUS)
def test_what_comes_of_it_is_stated(name: str) -> None:
    text, faithful, mended = CORPUS[name]
    assert said(read(text, Bugs())) == faithful
    assert said(read(text, NONE)) == mended


def test_cut_anywhere_it_keeps_what_is_whole_and_names_the_rest() -> None:
    for end in range(len(TWO) - 1, 1, -1):
        for bugs in (Bugs(), NONE):
            pieces = read(TWO[:end], bugs, "length")
            drafts = [piece for piece in pieces if isinstance(piece, Draft)]
            assert drafts == AB[: len(drafts)] and len(drafts) < 2
            assert said(pieces)[-1] in ("cut_off", "empty_reply")


LINE = st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), max_size=40)


def quiet(text: str) -> bool:
    """Without what ends a task, and with nothing to strip."""
    return (
        text == text.strip()
        and not re.search(r"^[ \t#]*\d+\.\s+(Instruction|Input|Output):", text, re.MULTILINE)
        and "\n20. Instruction:" not in text
        and not text.rstrip().endswith("##")
    )


WORDS = LINE.filter(quiet)
ROW = st.fixed_dictionaries(
    {
        "instruction": WORDS.filter(bool),
        "output": WORDS,
        "input": WORDS.filter(lambda text: text.lower() != "<noinput>"),
    }
)


@settings(deadline=None)
@given(st.lists(ROW, min_size=1, max_size=16))
def test_what_is_laid_out_comes_back_as_it_was(rows: list[dict[str, str]]) -> None:
    """With the bugs mended, whatever the texts hold; with them, whole or not at all where no ## merges two."""
    wanted = [Draft(row["instruction"], row["input"], row["output"]) for row in rows]
    assert read(layout(rows), NONE) == wanted
    faithful = read(layout(rows), Bugs())
    if not any(mark in text for row in rows for text in row.values() for mark in ("#", ".", ":")):
        assert faithful == wanted
    assert len(layout(rows)) >= len(until(layout(rows), ["20."]))


@pytest.mark.parametrize(
    "junk",
    [
        " ",
        "\n5. Input:",
        "\n",
        "#",
        "4",
        "4.",
        "4. ",
        "4.\n",
        "###",
        "### ",
        "\n4. Instruction:",
        "4. Input:",
        "\n# 4. Instruction: a\n4. Input:\nb\n4. Output:\nc ",
        "20",
        "\u2028",
        "a",
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        " Name it all.\n4. Input:\nx\n4. Output:\ny{}z",
        " Name it all.\n4. Input:\n{}z\n4. Output:\ny",
    ],
)
def test_a_megabyte_of_anything_ends_soon(junk: str, around: str) -> None:
    """A pattern that backtracks over it would take hours, and so it would over a fifth of one, which is what is tried every day."""
    text = around.format(junk * (LONG // len(junk)))
    assert read(text, Bugs()) and read(text, NONE)


@given(
    st.text(st.sampled_from("45.. \n#\u0664"), max_size=12).flatmap(
        lambda mark: st.lists(
            st.sampled_from(
                [
                    mark,
                    "4. Instruction:",
                    "4. Input:",
                    "14. Output:",
                    "4.\nOutput:",
                    "5. Input:",
                    " a b ",
                    "\n",
                ]
            ),
            max_size=9,
        )
    ),
    st.sampled_from([4, 5, 14]),
)
def test_a_piece_is_split_as_the_reference_splits_it(parts: list[str], number: int) -> None:
    text = "".join(parts)
    split = re.split(rf"{number}\.\s+(Instruction|Input|Output):", text)
    found = _seven(text, number, Bugs())
    if len(split) != 7:
        assert not isinstance(found, Draft) and found.rule == "not_seven_parts"
    else:
        assert isinstance(found, Draft)
        assert (found.instruction, found.input, found.output) == (
            split[2].strip(),
            split[4].strip(),
            split[6].strip(),
        )
