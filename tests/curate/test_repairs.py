"""What is mended, under a new id that names its parent; what cannot be mended safely is left as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate.detectors.invisible import cleaned
from alpaca_pipe.curate.repairs import mended, repaired

ORIGIN = Origin("generated", "r1-7", ("e1-seed",), {"place": "0/1/2"})


def row(
    input: str = "", output: str = "Knock, knock.", instruction: str = "Tell me a joke, please."
) -> Example:
    return Example.of(instruction, input, output, ORIGIN)


@pytest.mark.parametrize(
    "input",
    [
        "No input",
        "<noinput>",
        "NOINPUT",
        "N/A",
        "n / a",
        "None.",
        '"<noinput>"',
        "`<noinput>`",
        "[No Input]",
        "(no input)",
        "No input required.",
        "\\<noinput\\>",
        "No input was given",
        "Not applicable",
        " <noinputs>,",
    ],
)
def test_spellings_of_nothing(input: str) -> None:
    after = mended(row(input))
    assert after and after.input == "" and after.id == row().id
    assert after.origin == Origin(
        "generated", "r1-7", (row(input).id,), {"place": "0/1/2", "repair": "no_input"}
    )


@pytest.mark.parametrize(
    "input",
    [
        "",
        "No",
        "Nonesuch",
        "He was <noinput>",
        "No input, no output",
        "none of them",
        "N/A and other abbreviations",
        "<image>",
        ".",
    ],
)
def test_near_misses_stay(input: str) -> None:
    assert mended(row(input)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one\u200btwo", "onetwo"),
        ("any\u00adbody", "anybody"),
        ("\ufeffYes", "Yes"),
        ("a\x00b\x07", "ab"),
        ("one\x0btwo", "one\ntwo"),
        ("\x93Yes\x94, it\x92s", "“Yes”, it’s"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("Next \u200eSteps", "Next Steps"),
        ("I \u2764\ufe0f it", "I \u2764\ufe0f it"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        (
            "\u0e44\u0e17\u0e22\u200b\u0e44\u0e17\u0e22",
            "\u0e44\u0e17\u0e22\u200b\u0e44\u0e17\u0e22",
        ),
        ("one\ttwo\r\nthree", "one\ttwo\r\nthree"),
        ("caf\ufffd", "caf\ufffd"),
    ],
)
def test_characters_that_nobody_sees(before: str, after: str) -> None:
    assert cleaned(before) == after
    assert (mended(row(output=before)) or row(output=before)).output == after


@given(st.text())
def test_cleaning_takes_out_no_letter_and_is_done_once(text: str) -> None:
    once = cleaned(text)
    assert cleaned(once) == once
    if "\x1b" not in text:
        assert [letter for letter in once if letter.isalnum() and letter.isascii()] == [
            letter for letter in text if letter.isalnum() and letter.isascii()
        ]


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ("Paris.\n##\n18. Instruction: Name a noun.\n18. Input:\n<noinput>", "Paris."),
        ("Paris.\n\n\n6. Instruction: Name a noun.", "Paris."),
        ("Paris.\n111 \n6. Instruction: Name a noun.", "Paris."),
        ("- Paris\n- Rome\n***\n\n6. Instruction: Name a noun.", "- Paris\n- Rome"),
    ],
)
def test_a_next_task_is_cut_off(output: str, kept: str) -> None:
    after = mended(row(output=output))
    assert after and after.output == kept and after.origin.details["repair"] == "next_task"


@pytest.mark.parametrize(
    "output",
    [
        "6. Instruction: Name a noun.",
        "It is the\n6. Instruction: Name a noun.",
        "count = 6;\n#end-p1\n6. Instruction: Name a noun.",
        "```\ncode.\n6. Instruction: Name a noun.",
        "It was all built in 20\n##\n6. Instruction: Name a noun.",
    ],
)
def test_where_cutting_is_not_safe_nothing_is_cut(output: str) -> None:
    after = mended(row(output=output))
    assert after is None or after.output != "" and "Instruction" in after.output


def test_an_instruction_said_again_in_the_input_goes() -> None:
    after = mended(row("Tell me a joke, please. About cats."))
    assert (
        after
        and after.input == "About cats."
        and after.origin.details["repair"] == "instruction_again"
    )
    assert mended(row("Please tell me a joke, please.")) is None


def test_a_row_may_need_several() -> None:
    after = mended(row("No\u200b input", "Knock.\n##\n2. Instruction: Name a noun."))
    assert after and (after.input, after.output) == ("", "Knock.")
    assert after.origin.details["repair"] == "invisible, no_input, next_task"
    assert mended(after) is None


def test_ids_stay_unique() -> None:
    rows = [row(""), row("N/A"), row("none")]
    after = [(example.id.removeprefix(row("").id), before) for example, before in repaired(rows)]
    assert after == [("", None), ("#2", rows[1]), ("#3", rows[2])]


def test_a_sound_row_gives_way_to_a_repaired_one_before_it() -> None:
    assert [example.id for example, _ in repaired([row("N/A"), row("")])] == [
        row("").id,
        f"{row('').id}#2",
    ]


@pytest.mark.parametrize(
    "output",
    [
        "<think>He wants a joke.</think>Knock, knock.",
        "He wants a joke.</think>\nKnock, knock.",
        "Knock, knock.<|im_end|>",
        "Knock, knock.</s>",
        "<|channel|>analysis<|message|>A joke.<|end|><|start|>assistant<|channel|>final<|message|>Knock, knock.",
    ],
)
def test_thinking_and_template_marks_are_no_part_of_an_answer(output: str) -> None:
    after = mended(row(output=output))
    assert after and after.output == "Knock, knock." and after.id == row().id
    assert after.origin.details["repair"] == "thinking"


def test_thoughts_alone_are_left_to_the_objections() -> None:
    assert mended(row(output="<think>He wants a joke.")) is None
